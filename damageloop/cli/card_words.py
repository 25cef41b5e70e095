"""A model card in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from damageloop.cli.precision_words import precision_lines

NOT_MEASURED = "not measured"


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """Return the lines of a card as `ReleaseManifest.card` has it; what is not there was not measured."""
    if not card:
        return [f"Card: {NOT_MEASURED}. This release was made without a training and its evaluation."]
    return [
        *_none_lines(card.get("none")),
        *_threshold_lines(card.get("thresholds")),
        *_training_lines(card.get("training")),
        *(precision_lines(card["precision"]) if card.get("precision") else [f"Precision: {NOT_MEASURED}."]),
    ]


def share_words(share: Mapping[str, Any] | None) -> str:
    """Return a share with its limits, such as `4.2 % (1.5 to 11.4 %, n = 48 from 40 cars)`."""
    if not share or share["value"] is None:
        return NOT_MEASURED
    return f"{_percent(share['value'])} % ({_limits(share)} %, n = {share['count']} from {share['groups']} cars)"


def score_words(score: Mapping[str, Any] | None) -> str:
    """Return a figure with its limits, such as `0.049 (0.037 to 0.090)`."""
    if not score or score["value"] is None:
        return NOT_MEASURED
    if score["low"] is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def _none_lines(none: Mapping[str, Any] | None) -> list[str]:
    if not none:
        return [f'"None": {NOT_MEASURED}.']
    may = "may be answered" if none["in_use"] else f"is never answered. {none['why_not']}"
    prevalence = none["damage_prevalence"]
    shifted = "as on val" if prevalence is None else f"{_percent(prevalence)} %"
    answers = none["answers"]
    return [
        f'"None" {may}',
        f"  calibrated on val: {_judged(none['val'])}; judged on test: {_judged(none['test'])}",
        f"  when it was evaluated: none_probability_min {none['none_probability_min']}, damage_prevalence {shifted}",
        f"  expected calibration error {score_words(none['expected_calibration_error'])}",
        f"  Brier score {score_words(none['brier_score'])}",
        f"  separation (area under ROC) {score_words(none['separation'])}; 0.5 is chance",
        f"Reliability on test (P(damage) said, share damaged seen; intervals of {_percent(none['interval_level'])} %)",
        *(f"  {part['predicted']:.2f}  {share_words(part['observed'])}" for part in none["reliability"]),
        "Clean test photos",
        *_kind_lines(answers["clean"]),
        f"  {none['kind_rule']}",
        "Damaged test photos",
        *_kind_lines(answers["damaged"]),
    ]


def _kind_lines(answers: Mapping[str, Any]) -> list[str]:
    lines = []
    for kind, shares in answers.items():
        told = (f"{name} {share_words(shares[name])}" for name in ("damaged", "unsure", "none", "unusable_image"))
        lines += [f"  {kind} ({shares['images']}):", *(f"    {line}" for line in told)] if shares["images"] else []
        lines += [] if shares["images"] else [f"  {kind}: {NOT_MEASURED}, there is no such photo"]
    return lines


def _threshold_lines(thresholds: Mapping[str, Any] | None) -> list[str]:
    if not thresholds:
        return [f"Thresholds: what they give is {NOT_MEASURED}."]
    lines = ["Thresholds"]
    for name, found in thresholds.items():
        target = "" if found["recall_target"] is None else f" for a recall of {_percent(found['recall_target'])} %"
        lines.append(f"  {name} from {found['value']} on ({found['source']}{target})")
        for split in ("val", "test"):
            reached = found[split]
            lines.append(
                f"    {split}: recall {share_words(reached['recall'])}, precision {share_words(reached['precision'])}"
            )
    return lines


def _training_lines(training: Mapping[str, Any] | None) -> list[str]:
    if not training:
        return [f"Training: {NOT_MEASURED}."]
    boxes = ", ".join(f"{name} {count}" for name, count in training["boxes"].items())
    return [
        f"Training: {training['images']} photos of {training['groups']} cars, {training['clean']} of them clean",
        f"  boxes: {boxes}",
        "Never or hardly in training",
        *(f"  {sentence}" for sentence in training["never_seen"]),
        *(f"  {sentence}" for sentence in training["not_measured"]),
    ]


def _judged(photos: Mapping[str, Any]) -> str:
    return f"{photos['damaged']} damaged and {photos['clean']} clean photos of {photos['groups']} cars"


def _limits(share: Mapping[str, Any]) -> str:
    return f"{_percent(share['low'])} to {_percent(share['high'])}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.1f}".removesuffix(".0")
