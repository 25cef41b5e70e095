"""`python -m tests.chaos`: runs one seed and writes what happened as JSON; exit 1 when something did not hold."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Plan, run
from tests.chaos.schedule import Setup

_INSIDE = "DAMAGELOOP_CHAOS_INSIDE"


def main() -> int:
    """Run in a mount namespace of our own, so that no disk of ours outlives us."""
    plan = _arguments()
    if not os.environ.get(_INSIDE):
        _enter_namespace()
    # Ended as by Ctrl-C: the platform is stopped, whoever asks. A job of a script's background ignores Ctrl-C itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="damageloop-chaos-"))
    # PostgreSQL's account must get through; the home itself is ours alone.
    folder.chmod(0o711)
    is_sound = run(plan, folder, _say)
    if is_sound and not plan.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"Logs are kept in {folder}.")
    return 0 if is_sound else 1


def _enter_namespace() -> None:
    # With a user namespace only where that is needed: PostgreSQL wants an account that is not root.
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--mount", sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
    os.execvpe(command[0], command, os.environ | {_INSIDE: "1"})  # noqa: S606 - a list, ours


def _arguments() -> Plan:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--setup", type=Setup, choices=list(Setup), default=Setup.EMBEDDED)
    parser.add_argument("--home", type=Path, help="home of a finished small demo to begin with, instead of a new one")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--quiet-s", type=float, default=900.0, help="how long the platform may take to come to rest")
    parser.add_argument("--keep", action="store_true", help="keep home and logs of a run in which all held, too")
    given = parser.parse_args()
    if given.setup is not Setup.EMBEDDED:
        if given.home:
            parser.error("a saved home has its database in a file: without --home one is made on the servers")
        if os.geteuid() != 0:
            parser.error("only root may start PostgreSQL under its own account: use sudo, or --setup embedded")
    return Plan(given.seed, given.faults, given.setup, given.home, given.json, given.quiet_s, given.keep)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
