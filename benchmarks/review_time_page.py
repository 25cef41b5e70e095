"""The figures of `benchmarks.review_time` for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report import table_lines

_FIGURES = {
    "s with pre-labels": "seconds_with",
    "s without": "seconds_without",
    "times faster": "times_faster",
    "minutes saved a round": "minutes_saved_a_round",
}


def readable(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with each figure and its limits in one cell."""
    return [
        {
            **{column: row[column] for column in ("photos", "drawing", "n_images")},
            **{
                title: f"{row[key]:.3g} ({row[f'{key}_low']:.3g} to {row[f'{key}_high']:.3g})"
                for title, key in _FIGURES.items()
            },
        }
        for row in results
    ]


def page(content: Mapping[str, Any]) -> str:
    """Return the report as Markdown."""
    draw_s = content["action_seconds"]["draw_s"]
    parts = [
        "# Review time with and without pre-labels",
        content["note"],
        _rules(content),
        _seconds(content["action_seconds"]),
        _table(readable(content["results"])),
        _verdict(content["results"]),
        "What would be done to the pre-labels:",
        _table(content["counts"]),
        f"Minutes saved a round, were pre-labels shown from other confidences on ({draw_s:g} s to draw):",
        _table(content["by_threshold"]),
        f"By class ({draw_s:g} s to draw); a rejected pre-label counts under the class that the model gave it:",
        _table(content["by_class"]),
        _logged(content["logged"]),
        _made(content),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(results: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence for each kind of photo, from the limits alone."""
    found = []
    for name in dict.fromkeys(row["photos"] for row in results):
        rows = [row for row in results if row["photos"] == name]
        if all(row["minutes_saved_a_round_low"] > 0 for row in rows):
            found.append(f"{name}: pre-labels of this model save time at every drawing time.")
        elif all(row["minutes_saved_a_round_high"] < 0 for row in rows):
            found.append(
                f"{name}: **pre-labels of this model cost time** at every drawing time; rejecting its false ones takes "
                "longer than its right ones save."
            )
        else:
            found.append(f"{name}: whether pre-labels of this model save time depends on the drawing time.")
    return "\n".join(f"- {sentence}" for sentence in found)


def _seconds(action_s: Mapping[str, float]) -> str:
    return (
        "Drawing a box is published from 7 s (extreme clicking) to 42 s (a crowd with quality checks), verifying one "
        f"with {action_s['accept_s']:g} s. Assumed are {action_s['photo_s']:g} s for the photo, "
        f"{action_s['edit_s']:g} s to edit a box and {action_s['reject_s']:g} s to reject one. The intervals hold for "
        "other photos of the kind, not for other people."
    )


def _made(content: Mapping[str, Any]) -> str:
    machine = content["machine"]
    return (
        f"Made with `python -m benchmarks.review_time` on {machine['processor']}, {machine['cpus']} CPUs, commit "
        f"`{content['commit']}`. All figures: `review_time.json`."
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(table_lines(rows))


def _rules(content: Mapping[str, Any]) -> str:
    model, rules = content["model"], content["rules"]
    return (
        f"Pre-labels come from `{model['weights']}` at {model['image_size']} px, shown from a confidence of "
        f"{rules['display_threshold']} on; it knows {' and '.join(model['labels'])}, and no other damage is counted. A "
        f"pre-label that overlaps a true box of its class by an IoU of {rules['accept_iou']} is accepted; one down to "
        f"{rules['match_iou']}, or of another class, is edited; the others are rejected, and damages without a partner "
        f"drawn. A round has {rules['pre_labelled_images_a_round']} pre-labelled images. Intervals: "
        f"{rules['interval']}."
    )


def _logged(logged: Mapping[str, Any] | None) -> str:
    if logged is None:
        return ""
    given, hidden, saved = logged["with_pre_labels"], logged["without_pre_labels"], logged["saved_per_image"]
    same = (
        f" On the same photos, by the times fitted on this log, pre-labels saved {saved['seconds']:.1f} s a photo "
        f"({saved['low']:.1f} to {saved['high']:.1f})."
        if saved
        else ""
    )
    return (
        f"Logged by a platform: {logged['n_reviews']} reviews, {_mean(given)} with pre-labels ({given['n']} photos), "
        f"{_mean(hidden)} without ({hidden['n']} other photos).{same} In a demo these are the simulated annotator's "
        "seconds."
    )


def _mean(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "no time"
    if estimate["low"] is None:
        return f"{estimate['value']:.1f} s"
    return f"{estimate['value']:.1f} s ({estimate['low']:.1f} to {estimate['high']:.1f})"
