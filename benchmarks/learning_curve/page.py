"""The figures of the run for people: tables, and the page that is kept beside the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.learning_curve.curves import METRICS, Curve
from benchmarks.report import table_lines

CLAIM_AXIS = "seconds"
_FIGURES = {
    "any_damage_ap50": "all classes taken as one, AP50 (the first readout)",
    "scratch_dent_ap50": "mean AP50 of scratch and dent (what the claim is made on)",
    "map50": "mean AP50 of all classes",
}


_LEGEND = (
    "Area: mean height of the curve over the review seconds that all arms reached, arm minus random. Seconds to "
    "target: what the arm needs as a share of what random needs, geometric mean over seeds and targets, with the "
    "middle 95 % of a bootstrap over seeds and then groups of photos; censored pairs never reached the target."
)


def page(content: Mapping[str, Any], means: Sequence[Mapping[str, Any]]) -> str:
    """Return the report as Markdown."""
    summary, settings = content["summary"], content["settings"]
    parts = [
        "# Learning curves of query strategies",
        _protocol(content, settings),
        _before(content, summary),
        "## What was found",
        "\n".join(f"- {sentence}" for sentence in summary["sentences"]),
        "\n".join(table_lines(verdict_rows(summary))),
        _LEGEND,
        "The same by the number of images, without correction for the number of tests:",
        "\n".join(table_lines(_image_rows(summary))),
        "The default against `entropy`, by area:",
        "\n".join(table_lines(_default_rows(summary))),
        "Means over seeds, with the standard deviation; hours are modelled review time:",
        "\n".join(table_lines(means)),
        "![Curves](learning_curve.png)",
        _made(content),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _protocol(content: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    data = content["data"]
    frozen = f"its first {settings['n_frozen']} layers frozen" if settings["n_frozen"] else "all layers learning"
    return (
        f"A pool of {data['photos']} photos whose boxes are known stands for the human. All arms of a seed share round "
        f"0: {settings['initial']} random photos and the same model. Then each arm chooses {settings['query_size']} "
        f"photos in each of {settings['rounds']} rounds, and a new model is trained from the same weights "
        f"(yolo11n, {frozen}, {settings['image_size']} px, {settings['iterations']} steps of "
        f"{settings['batch_size']}, last EMA weights). Judged on {data['evaluation_images']} photos of "
        f"{data['evaluation_groups']} groups with {data['evaluation_boxes']} boxes. No arm is limited by vehicle. "
        "Review seconds are modelled from published action times (see the page on review time), not measured."
    )


def _before(content: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    seeds = summary["seeds"]
    lines = ["## What so many seeds can show", f"{len(seeds)} seeds ({', '.join(map(str, seeds))})."]
    effect = summary["smallest_effect_in_deviations"]
    if effect is not None:
        lines.append(
            f"A paired t-test at 5 % finds {effect:.2f} standard deviations of the difference in four of five."
        )
    for metric, ratio in summary["smallest_ratio"].items():
        if ratio is not None:
            words = _FIGURES[metric]
            lines.append(f"{words[0].upper()}{words[1:]}: by random's own spread, a ratio of {ratio:.2f} or less.")
    targets = content["pilot"]["targets"]
    if targets:
        named = "; ".join(f"{name} {', '.join(f'{t:.3f}' for t in values)}" for name, values in targets.items())
        lines.append(
            f"Targets, set by random under seed {content['pilot']['seed']}, which takes no part in the comparison: "
            f"{named}. The figures are {'; '.join(f'`{name}`: {words}' for name, words in _FIGURES.items())}."
        )
    return "\n\n".join(lines)


def _made(content: Mapping[str, Any]) -> str:
    machine, versions = content["machine"], content["versions"]
    return (
        f"Made with `python -m benchmarks.learning_curve` on {machine['processor']}, {machine['cpus']} CPUs, Python "
        f"{versions['python']}, torch {versions['torch']}, ultralytics {versions['ultralytics']}, commit "
        f"`{content['commit']}`. All figures: `learning_curve.json`."
    )


def mean_rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return each arm's means and standard deviations over seeds, a row for each round."""
    rows = []
    for arm in sorted({curve.arm for curve in curves}):
        mine = [curve for curve in curves if curve.arm == arm]
        for place in range(len(mine[0].cells)):
            row: dict[str, Any] = {"arm": arm, "seeds": len(mine), "images": int(mine[0].spent["images"][place])}
            row["hours"] = round(float(np.mean([c.spent["seconds"][place] for c in mine])) / 3600.0, 3)
            for name, value in METRICS.items():
                found = [value(curve.cells[place]) for curve in mine]
                row[name] = f"{np.mean(found):.4f} ({np.std(found, ddof=1) if len(found) > 1 else 0.0:.4f})"
            rows.append(row)
    return rows


def verdict_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what was found for each figure and arm, against random."""
    rows = []
    for metric, axes in summary["areas"].items():
        for arm, test in axes[CLAIM_AXIS].items():
            ratio = summary["labels_to_target"].get(metric, {}).get(arm, {}).get(CLAIM_AXIS, {})
            rows.append(
                {
                    "figure": metric,
                    "arm": arm,
                    "area": None if test is None else round(test["mean"], 4),
                    "p (Holm)": summary["holm_on_seconds"][metric].get(arm),
                    "p (Wilcoxon)": None if test is None else test["p_wilcoxon"],
                    "seconds to target": ratio.get("ratio"),
                    "from": ratio.get("low"),
                    "to": ratio.get("high"),
                    "censored": f"{ratio.get('censored', '-')} of {ratio.get('pairs', '-')}",
                }
            )
    return rows


def _image_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for metric, axes in summary["areas"].items():
        for arm, test in axes["images"].items():
            ratio = summary["labels_to_target"].get(metric, {}).get(arm, {}).get("images", {})
            row = {"figure": metric, "arm": arm, **_test_cells(test), "images to target": ratio.get("ratio")}
            rows.append({**row, "from": ratio.get("low"), "to": ratio.get("high")})
    return rows


def _default_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"figure": metric, "axis": axis, **_test_cells(test)}
        for metric, axes in summary["default_against_entropy"].items()
        for axis, test in axes.items()
    ]


def _test_cells(test: Mapping[str, Any] | None) -> dict[str, Any]:
    if test is None:
        return {"area": None, "SD": None, "p": None, "p (Wilcoxon)": None}
    return {
        "area": round(test["mean"], 4),
        "SD": round(test["deviation"], 4),
        "p": round(test["p_t"], 4),
        "p (Wilcoxon)": test["p_wilcoxon"],
    }
