"""The report as one HTML file: no script, no font and no picture from elsewhere; a table says what each plot shows."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

from damageloop.adapters.data_report import plots
from damageloop.adapters.data_report.summary import summarize
from damageloop.adapters.file_tree import write_file
from damageloop.domain.report_rows import ReportRows
from damageloop.domain.split import Split
from damageloop.errors import UnavailableError

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
.part { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
.part > div { flex: 1 1 16rem; min-width: 0; } img { width: 34rem; max-width: 100%; height: auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; } caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid #767676; padding: .25rem .7rem; text-align: right; }
th:first-child { text-align: left; }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #f0f0f0; } img { background: #fff; } }
"""
_NUMBERS = ("brightness", "contrast", "sharpness", "megapixels", "boxes")
_DARK = 50.0
_FOR_EVERYBODY = 0o644

Rows = Sequence[Sequence[Any]]


def write_report(rows: ReportRows, made_at: str, path: Path) -> None:
    """Write the page; a report that was there before is replaced at once.

    Raises:
        UnavailableError: If the disk does not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, page(rows, made_at).encode(), _FOR_EVERYBODY)
    except OSError as exc:
        raise UnavailableError(f"{path} could not be written: {exc.strerror or exc}.") from exc


def page(rows: ReportRows, made_at: str) -> str:
    """Return the page."""
    verdicts = Counter(row["verdict"] for row in rows.images)
    lead = (
        f"{len(rows.images)} labeled photos with {len(rows.boxes)} boxes; "
        f"{verdicts['clean']} photos show no damage. Made {made_at}."
    )
    title = escape(f"Report on {rows.title}")
    parts = [
        _section("Class balance", plots.class_balance, "Bars: boxes of each class by split.", _classes(rows), rows),
        _section("Box sizes", plots.box_sizes, "Boxes: share of the photo covered, by class.", _sizes(rows), rows),
        _section("Brightness", plots.brightness, "Histogram: brightness of photos by split.", _brightness(rows), rows),
        _section("Duplicates", plots.duplicates, "Bars: groups by number of their photos.", _groups(rows), rows),
        _summary(rows),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><main><h1>{title}</h1><p>{escape(lead)}</p>\n"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _section(title: str, draw: Callable[[ReportRows], bytes], shows: str, table: str, rows: ReportRows) -> str:
    picture = base64.b64encode(draw(rows)).decode()
    alt = escape(f"{shows} The table beside it has the numbers.", quote=True)
    image = f'<img alt="{alt}" src="data:image/png;base64,{picture}">'
    return f'<section><h2>{title}</h2><div class="part">{image}{table}</div></section>\n'


def _classes(rows: ReportRows) -> str:
    counts = Counter((row["damage_class"], row["split"]) for row in rows.boxes)
    cells = [
        (name, *(counts[name, split.value] for split in Split), sum(counts[name, s.value] for s in Split))
        for name in rows.classes
    ]
    return _table("Boxes", ("class", *(split.value for split in Split), "all"), cells)


def _sizes(rows: ReportRows) -> str:
    cells = []
    for name in rows.classes:
        part = [row for row in rows.boxes if row["damage_class"] == name]
        shares = [100 * row["area_share"] for row in part]
        sides = [row["side_px"] for row in part]
        cells.append((name, len(part), *(_number(median(v)) if v else "-" for v in (shares, sides))))
    return _table("Box sizes", ("class", "boxes", "median % of photo", "median side in px"), cells)


def _brightness(rows: ReportRows) -> str:
    cells = []
    for split in Split:
        values = [row["brightness"] for row in rows.images if row["split"] == split.value]
        middle = _number(median(values)) if values else "-"
        cells.append((split.value, len(values), middle, sum(value < _DARK for value in values)))
    return _table("Brightness", ("split", "photos", "median", f"dark (below {_DARK:.0f})"), cells)


def _groups(rows: ReportRows) -> str:
    cells = [(size, n_groups, size * n_groups) for size, n_groups in rows.group_sizes.items()]
    text = (
        "A group is the photos of one car, joined with photos that look nearly the same; it lies in one split. "
        f"{rows.n_same_looks} labeled photos look exactly like another one (same perceptual hash)."
    )
    return f"<div>{_table('Groups', ('photos in one group', 'groups', 'photos'), cells)}<p>{text}</p></div>"


def _summary(rows: ReportRows) -> str:
    found = summarize(rows.images, _NUMBERS, ("split", "verdict")) if rows.images else []
    columns = [name for name in (found[0] if found else {}) if name != "column"]
    cells = [(row["column"], *(_number(row.get(name, float("nan"))) for name in columns)) for row in found]
    table = _table("Photos, as Evidently measures them", ("measure", *columns), cells)
    return f"<section><h2>Summary</h2>{table}</section>\n"


def _table(caption: str, columns: Sequence[str], rows: Rows) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    lines = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>{"".join(f"<td>{escape(str(cell))}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    # Reached with the keyboard, since a wide one is scrolled.
    label = escape(caption, quote=True)
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{label}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _number(value: float) -> str:
    return "-" if value != value else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR0124 - NaN
