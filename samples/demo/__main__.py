"""`python -m samples.demo`: one whole loop, unattended; `make demo` installs what it needs and calls it."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

import httpx

from damageloop.errors import InvalidInputError
from damageloop.settings import Settings
from samples.demo.home import DemoHome, DemoRefusedError, Source, open_home
from samples.demo.platform import DemoFailedError, Platform
from samples.demo.report import print_result, result_of
from samples.demo.steps import Demo


def main() -> int:
    """Run the demo; return 0 for any recorded decision, 1 when a step failed, 2 when it can't run as asked."""
    source, is_fresh = _arguments()
    try:
        settings = Settings()
    except InvalidInputError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 2
    # A terminated demo cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if is_fresh and settings.root.exists():
        # Processes that still run in the old home would lose their files with its name.
        Platform(settings.root).stop()
    try:
        home = open_home(settings.root, source, is_fresh, _say)
    except DemoRefusedError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 2
    platform = Platform(settings.root)
    result = home.result()
    if result is None:
        code, result = _run(home, platform)
        if result is None:
            return code
    else:
        _say("This demo is finished; FRESH=1 runs it anew.")
    print_result(result, _addresses(settings, home))
    _say("`make up` starts the same platform for people; `make down` stops it.")
    return 0


def _run(home: DemoHome, platform: Platform) -> tuple[int, dict[str, Any] | None]:
    try:
        Demo(home, platform, _say).run()
        result = result_of(home)
        home.finish(result)
        return 0, result
    except KeyboardInterrupt:
        _say("Interrupted. `make demo` goes on at the first missing step.")
        return 130, None
    except DemoRefusedError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 2, None
    except (DemoFailedError, httpx.HTTPError) as exc:
        print(f"Error: {exc} The logs are in {home.home / 'logs'}.", file=sys.stderr)
        return 1, None
    finally:
        # A second Ctrl-C must not leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        platform.stop()


def _arguments() -> tuple[Source, bool]:
    parser = argparse.ArgumentParser(prog="samples.demo", description=__doc__)
    parser.add_argument("--images", type=Path, help="folder of real photos, instead of generated ones")
    parser.add_argument("--annotations", type=Path, help="COCO file that the simulated annotator knows")
    parser.add_argument("--base", help="weights file in DAMAGELOOP_WEIGHTS_DIR, or a path, to train from")
    parser.add_argument("--limit", type=int, help="at most so many of the real photos")
    parser.add_argument("--seed", type=int, default=0, help="of photos, rounds and training")
    parser.add_argument("--fresh", action="store_true", help="put the old home aside and begin anew")
    parser.add_argument("--size", choices=("full", "small"), default="full", help="small: for tests; learns nothing")
    given = parser.parse_args()
    source = Source(
        images=str(given.images.resolve()) if given.images else None,
        annotations=str(given.annotations.resolve()) if given.annotations else None,
        base=given.base,
        limit=given.limit,
        seed=given.seed,
        size=given.size,
    )
    return source, given.fresh


def _addresses(settings: Settings, home: DemoHome) -> dict[str, str]:
    return {
        "result": str(home.result_file),
        "Label Studio": settings.label_studio,
        "API": f"{settings.api_url}/v1",
        "MLflow": settings.mlflow,
        "workspace": str(settings.workspace_dir),
    }


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
