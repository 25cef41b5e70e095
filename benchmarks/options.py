"""Command line options that several benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path


def numbers(text: str) -> list[int]:
    """Return numbers separated by commas: `10_000,5` gives 10000 and 5."""
    return [int(part.replace("_", "")) for part in text.split(",")]


def measurement_parser(name: str, description: str | None, kept: str) -> argparse.ArgumentParser:
    """Return a parser with the options of a benchmark that measures pools of several sizes in processes of their own.

    Args:
        name: Of the benchmark's module.
        description: What `--help` begins with.
        kept: What `--keep` keeps of the JSON file.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the page for people goes")
    parser.add_argument(
        "--images", type=numbers, action="extend", default=[], help="size of the pool; several by commas or repeats"
    )
    parser.add_argument("--threads", type=int, default=2, help="of the numerical libraries (%(default)s)")
    parser.add_argument("--keep", action="store_true", help=f"keep the {kept} that the JSON file holds")
    parser.add_argument("--busy", action="store_true", help="say that other work ran on the machine meanwhile")
    return parser
