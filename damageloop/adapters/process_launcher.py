"""Becomes one program of the platform: records itself, takes its environment and folder, and executes its command.

Run by supervisord as `python -m damageloop.adapters.process_launcher FILE`. It runs at every restart too, so that the
records stay true when no command line is there to write them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from damageloop.adapters.process_records import MARKER, end_earlier, record


def main(launch_file: Path) -> None:
    """Replace this process by the program that `launch_file` describes; pid and start time stay."""
    content = json.loads(launch_file.read_text(encoding="utf-8"))
    run_folder, name = Path(content["run_folder"]), content["name"]
    records = run_folder / "processes.json"
    end_earlier(records, name)
    record(records, name, os.getpid())
    inherited = dict(os.environ) if content["inherits"] else {}
    environment = inherited | content["environment"] | {MARKER: f"{run_folder}:{name}"}
    os.chdir(content["cwd"])
    if content["nice"]:
        os.nice(content["nice"])
    os.execve(content["argv"][0], content["argv"], environment)  # noqa: S606 - a list, ours


if __name__ == "__main__":
    main(Path(sys.argv[1]))
