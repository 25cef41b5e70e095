"""Adds up JUnit XML reports and prints `N passed, N failed, N skipped`; fails when a test failed or none ran."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(paths: list[str]) -> int:
    """Prints the totals of the reports that exist and returns the exit code."""
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for path in filter(Path.is_file, map(Path, paths)):
        for suite in ElementTree.parse(path).iter("testsuite"):  # noqa: S314 - written by our own pytest
            for key in totals:
                totals[key] += int(suite.get(key, 0))
    failed = totals["failures"] + totals["errors"]
    passed = totals["tests"] - failed - totals["skipped"]
    if passed + failed == 0:
        print("No test was run.")
    print(f"{passed} passed, {failed} failed, {totals['skipped']} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
