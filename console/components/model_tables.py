"""Figures of model versions as tables: beside each other, by class and kind of photo, and what the gate said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from console.components.words import NOT_KNOWN, count, figure, moment, plain, with_interval

_FIGURES = {
    "recall": "Recall",
    "precision": "Precision",
    "map50": "mAP50",
    "map50_95": "mAP50-95",
    "specificity": "Clean photos without a false alarm",
}


def show_differences(compared: Mapping[str, Any]) -> None:
    """Show two versions side by side: all photos, classes, kinds of photo."""
    counts = compared["counts"]
    if counts is None:
        st.info(compared["val_note"])
        return
    unseen = f" {count(counts['unseen'], 'photo')} that one of them never saw left out." if counts["unseen"] else ""
    st.caption(
        f"On {count(counts['images'], 'val photo')} of {count(counts['groups'], 'vehicle')} with "
        f"{count(counts['boxes'], 'damage')}.{unseen} Intervals: {counts['interval_level']:.0%}, from "
        f"{counts['n_samples']:,} resamples of vehicles."
    )
    rows = compared["figures"]
    whole = [row for row in rows if row["part"] == "all" and row["damage_class"] is None]
    classes = [row for row in rows if row["damage_class"] is not None]
    kinds = [row for row in rows if row["part"] != "all"]
    for title, part in (("All photos", whole), ("By class", classes), ("By kind of photo", kinds)):
        st.markdown(f"**{title}**")
        st.table(pd.DataFrame([_difference(row, compared) for row in part]).set_index("Figure"))


def _difference(row: Mapping[str, Any], compared: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Figure": _name(row),
        **{f"Version {compared[side]}": figure(row[side]) + _at(row, compared, side) for side in ("first", "second")},
        "Difference": with_interval(row["difference"], (row["low"], row["high"])),
        "Rests on": count(row["count"]),
    }


def _at(row: Mapping[str, Any], compared: Mapping[str, Any], side: str) -> str:
    """Return the threshold that a figure was made at; average precision has none."""
    if row["figure"].startswith("map"):
        return " at every threshold"
    if row[f"{side}_threshold"] is not None:
        return f" at {figure(row[f'{side}_threshold'], 2)}"
    return f" at {_thresholds(compared[f'{side}_thresholds'])}"


def show_figures(details: Mapping[str, Any]) -> None:
    """Show one version's figures with their intervals."""
    if details["val"] is None:
        st.info(details["val_note"])
        return
    thresholds = details["release"]["thresholds"]
    rows = [
        {
            "Figure": _name(row),
            "Value": with_interval(row["value"], (row["low"], row["high"])),
            "Threshold": _threshold(row, thresholds),
            "Rests on": count(row["count"]),
        }
        for row in details["val"]["figures"]
    ]
    st.table(pd.DataFrame(rows).set_index("Figure"))


def _threshold(row: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    if row["figure"].startswith("map"):
        return "every"
    return figure(row["threshold"], 2) if row["threshold"] is not None else _thresholds(thresholds)


def _thresholds(thresholds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {figure(value, 2)}" for name, value in thresholds.items())


def _name(row: Mapping[str, Any]) -> str:
    name = _FIGURES[row["figure"]]
    if row["damage_class"] is not None:
        return f"{name.removeprefix('m')} of {row['damage_class']}"
    return name if row["part"] == "all" else f"{name}, {plain(row['part'])}"


def show_judgment(judged: Mapping[str, Any]) -> None:
    """Show a decision: what was said, why, and its evidence."""
    who = judged["asked_by"] or "The gate"
    said = {"promote": "let it through", "refuse": "refused it"}.get(judged["decision"], "had too little evidence")
    rival = f"beside version {judged['champion']}" if judged["champion"] else "without a champion"
    st.markdown(f"**{who} {said}** {rival} on {moment(judged['created_at'])}:")
    st.markdown("\n".join(f"- {reason}" for reason in judged["reasons"]))
    if judged["tests"]:
        st.caption(f"Evidence, on {count(judged['test_images'], 'test photo')}; limits are one-sided.")
        st.table(pd.DataFrame([_test(test) for test in judged["tests"]]).set_index("Rule"))
    if judged["not_judged"]:
        told = [f"{s['of'] or s['what']} ({s['have']} of {s['needed']} {s['what']})" for s in judged["not_judged"]]
        st.caption(f"Too little evidence for: {', '.join(told)}.")


def _test(test: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Rule": test["name"],
        "Kind": "must be shown" if test["is_decisive"] else "guard",
        "Champion": figure(test["champion"]),
        "Challenger": figure(test["challenger"]),
        "Difference": figure(test["difference"]),
        "Lower limit": f"{figure(test['lower_limit'])} ({test['confidence_level']:.0%})",
        "Must be above": figure(test["must_be_above"]),
        "Met": "yes" if test["is_met"] else "no",
        "Rests on": count(test["count"], test["unit"], test["unit"]),
    }


def show_history(versions: Sequence[Mapping[str, Any]]) -> None:
    """Show all promotions, newest first, with who and why."""
    promotions = sorted((p for item in versions for p in item["promotions"]), key=lambda p: -p["id"])
    if not promotions:
        st.info("No version was ever champion.")
        return
    rows = [
        {
            "When": moment(p["created_at"]),
            "Version": p["model_version"],
            "In place of": p["previous_version"] or NOT_KNOWN,
            "Came about by": plain(p["reason"]),
            "Who": p["asked_by"] or "the loop",
            "Why": p["note"] or NOT_KNOWN,
        }
        for p in promotions
    ]
    st.table(pd.DataFrame(rows).set_index("When"))
