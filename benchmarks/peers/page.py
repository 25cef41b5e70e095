"""The figures of `benchmarks.peers` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from active_learning.reasons import counted
from benchmarks.child import FAILED
from benchmarks.peers import contest
from benchmarks.peers.summary import SAME
from benchmarks.report import table_lines

Row = Mapping[str, Any]
_TITLES = {
    "radius_max": "largest distance",
    "radius_mean": "mean distance",
    "kernel_coverage": "kernel coverage",
    "clusters_found": "new clusters found",
}


def readable(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one line for each comparison: times, their ratio, and the figure that the method is judged by."""
    return [
        {
            "method": row["method"],
            "beside": row["peer"],
            "images": f"{row['n_images']:,}",
            "our s": _spread(row["seconds_ours"]),
            "their s": _spread(row["seconds_theirs"]) if row["seconds_theirs"] else row[FAILED],
            "times faster": _spread(row["times_faster"]),
            "by CPU": _spread(row["times_faster_cpu"]),
            "judged by": _TITLES[row["judged_by"]],
            "ours": _spread(row[row["judged_by"]]["ours"]),
            "theirs": _spread(row[row["judged_by"]]["theirs"]),
            "coverage is": row["coverage"] or "-",
            "seeds": row["seeds"],
        }
        for row in rows
    ]


def page(content: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    rows = content["results"]
    parts = [
        "# Selection beside scikit-activeml and small-text",
        _what(content),
        _table(readable(rows)),
        _verdicts(rows),
        "All figures, medians over the seeds (ours / theirs):",
        _table([_all_figures(row) for row in rows if row["seeds"]]),
        _remarks(content),
        _made(content),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(content: Mapping[str, Any]) -> str:
    settings, versions = content["settings"], content["versions"]
    loads = [run["load"] for run in content["runs"]]
    busy = (
        f" Other processes ran on the machine meanwhile (load average {min(loads):.1f} to {max(loads):.1f}); both "
        "sides ran in turns, so the ratios suffer less than the seconds."
        if settings["busy"] and loads
        else ""
    )
    return (
        f"Ours and those of scikit-activeml {versions['scikit-activeml']} and small-text {versions['small-text']} "
        f"choose {settings['n_chosen']} images from the same embeddings ({contest.N_FEATURES} numbers, "
        f"{contest.N_CLUSTERS} clusters of unlike size and width) with the same {contest.N_LABELED} labeled images, "
        f"which come from {contest.SHARE_SEEN:.0%} of the clusters. Embeddings are centred and of length 1 before, so "
        "that no side's own preparation changes a distance. Both sides of MaxHerding get the same Gaussian kernel; "
        "ours is `uncertainty_herding` without a model. Ours and theirs run in turns, each in a fresh process with "
        f"{counted(settings['threads'], 'thread', 'threads')}; only the choice is timed. Each "
        f"cell holds the median over the seeds (last column), a new pool each, with the lowest and highest.{busy}"
    )


def _verdicts(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        title = f"{row['method']}, {row['peer']}, {row['n_images']:,} images"
        judged_by = _TITLES[row["judged_by"]]
        if not row["seeds"]:
            lines.append(f"- {title}: theirs gave no answer: {row[FAILED]}.")
            continue
        spread = row[row["judged_by"]]["advantage"]
        by = f" ({spread['low']:+.1%} to {spread['high']:+.1%})" if spread and row["coverage"] != "equal" else ""
        seeds = counted(row["seeds"], "seed", "seeds")
        lines.append(f"- {title} ({seeds}): {judged_by} **{row['coverage']}**{by}; {_times(row)}.")
    return "\n".join(lines)


def _times(row: Row) -> str:
    kind, by = ("times_faster_cpu", " by CPU seconds") if row["times_faster_cpu"] else ("times_faster", "")
    ratio = row[kind]["median"]
    return (f"{ratio:.3g} times as fast" if ratio >= 1.0 else f"{1.0 / ratio:.3g} times as slow") + by


def _all_figures(row: Row) -> dict[str, Any]:
    return {
        "method": row["method"],
        "beside": row["peer"],
        "images": f"{row['n_images']:,}",
        **{
            title: f"{row[figure]['ours']['median']:.4g} / {row[figure]['theirs']['median']:.4g}"
            for figure, title in _TITLES.items()
        },
    }


def _remarks(content: Mapping[str, Any]) -> str:
    settings = content["settings"]
    return (
        "Distances go from each image of the pool to the nearest chosen or labeled one, 0 to 2: smaller is better. "
        "Kernel coverage is the mean of exp(-d^2 / r^2), and new clusters found the share of clusters without a "
        "labeled image that got a chosen one: higher is better. Equal means that no seed differs by more than "
        f"{SAME:.1%}. A choice is stopped after {settings['limit_s']:g} CPU seconds or above "
        f"{settings['limit_gib']:g} GiB. small-text has no TypiClust and no MaxHerding; its lightweight core-set draws "
        "at random and does not look at what is labeled. "
        "scikit-activeml's MaxHerding compares all pairs of the pool; ours takes at most 11,000 candidates, "
        f"here {min(50 * settings['n_chosen'], 10_000) * 11 // 10:,}. Ours of TypiClust leaves clusters of fewer than "
        "five images to the end, as the paper does; theirs does not."
    )


def _made(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    return (
        f"Made with `python -m benchmarks.peers` on {machine['processor']}, {machine['cpus']} CPUs, "
        f"{machine['memory_gib']:g} GiB, commit `{content['commit']}`. All figures: `peers.json`."
    )


def _spread(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "-"
    low, median, high = (f"{values[name]:.3g}" for name in ("low", "median", "high"))
    return median if low == high else f"{median} ({low} to {high})"


def _table(rows: Sequence[Row]) -> str:
    return "\n".join(table_lines(rows))
