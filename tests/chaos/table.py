"""`python -m tests.chaos.table FILE...`: writes the results of runs as rows of docs/reliability.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.e2e.platform_under_test import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- chaos results: begin -->", "<!-- chaos results: end -->"
HEAD = (
    "| set-up | seed | faults | held | annotations | snapshots | trainings | promotions | jobs | attempts beyond the "
    "first | minutes | at rest after | commit |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def row(result: dict[str, Any]) -> str:
    """Return one run as a row; what did not hold is named."""
    plan, counts, seconds = result["plan"], result["counts"], result["seconds"]
    broken = [name for name, violations in result["checks"].items() if violations]
    cells = (
        plan["setup"],
        plan["seed"],
        plan["faults"],
        "all" if result["ok"] else f"not: {', '.join(broken)}",
        counts.get("annotations", "-"),
        counts.get("snapshots", "-"),
        max(counts.get("models", 1) - 1, 0),
        counts.get("promotions", "-"),
        sum(counts.get("jobs", {}).values()),
        counts.get("attempts beyond the first", "-"),
        f"{seconds.get('all', 0.0) / 60:.1f}",
        f"{seconds.get('to rest', 0.0):.0f} s",
        f"`{result['commit'][:12]}{'-dirty' if '-dirty-' in result['commit'] else ''}`",
    )
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def filled(page: str, results: Sequence[dict[str, Any]]) -> str:
    """Return the page with these rows between its marks, by set-up and seed."""
    ordered = sorted(results, key=lambda r: (r["plan"]["setup"], r["plan"]["faults"], r["plan"]["seed"]))
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{HEAD}{''.join(map(row, ordered))}\n{END}{after}"


def main() -> None:
    """Rewrite the page."""
    results = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    PAGE.write_text(filled(PAGE.read_text(), results))


if __name__ == "__main__":
    main()
