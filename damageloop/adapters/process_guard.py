"""Runs a command that must not outlive whoever started it: `python -m damageloop.adapters.process_guard COMMAND...`.

Its standard input is a pipe that its starter holds open. When that ends, however the starter died, the whole process
group is killed. The guard must lead that group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Run the command and return its exit code."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_group_at_end_of_input, daemon=True).start()
    code = child.wait()
    return 128 - code if code < 0 else code


def _kill_group_at_end_of_input() -> None:
    os.read(0, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
