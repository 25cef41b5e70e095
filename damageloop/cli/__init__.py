"""The `damageloop` command: parses words, calls one use case, prints its answer for people or as JSON."""

from __future__ import annotations

import logging
import sys

from damageloop.errors import DamageloopError, InvalidInputError


def main() -> None:
    """Run the command line; exit 0 when done, 1 when refused or broken, 2 on wrong use."""
    from damageloop.cli.app import app

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app()
    except DamageloopError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        sys.exit(2 if isinstance(exc, InvalidInputError) else 1)
    except KeyboardInterrupt:
        print("Interrupted; nothing that was finished is lost.", file=sys.stderr)
        sys.exit(130)
