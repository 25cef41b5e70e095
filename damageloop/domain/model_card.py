"""What people should know of a model: how sure its "none" is, what its thresholds give, what it was never taught.

The parts are plain JSON values, because a card travels in the release's manifest:

- `none`: calibration on val, reliability on test, answers to clean and to damaged test photos by kind
- `thresholds`: of each class, with recall and precision reached on val and test
- `training`: what was in the train images, and in words what was not
- `precision`: what the numbers of the network were measured to be good for; written by the export stage
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.evaluation import ImageEvaluation, class_table
from damageloop.domain.outcome import NoneCalibration, OutcomeRules
from damageloop.domain.photo_answers import KIND_RULE, AnsweredPhoto, answer_shares
from damageloop.domain.proportion import INTERVAL_LEVEL, proportion
from damageloop.domain.reliability import N_SAMPLES, SEED, reliability
from damageloop.domain.resampling import group_weights
from damageloop.domain.thresholds import WorkingThreshold


@dataclass(frozen=True, slots=True)
class ScoredPhoto:
    """A judged photo and the highest score that the model gave anywhere in it."""

    group: str
    is_damaged: bool
    top_score: float


def none_card(
    calibration: NoneCalibration | None,
    rules: OutcomeRules,
    val: Sequence[ScoredPhoto],
    test: Sequence[ScoredPhoto],
    answered: Sequence[AnsweredPhoto],
) -> dict[str, Any]:
    """Return the part `none`: what "None" rests on, and what it was worth on the test photos.

    Reliability is that of the probability before it is shifted to the prevalence where the model answers: shifted, it
    is right for photos with that share of damage, which the test photos don't have.

    Args:
        rules: As they were at the evaluation; those of now may differ.
        val: What the calibration was fitted to.
        test: What it is judged on.
        answered: The test photos with the outcome under `rules`.
    """
    weights = group_weights([photo.group for photo in answered], N_SAMPLES, SEED)
    return {
        "in_use": why_not_in_use(calibration, rules) is None,
        "why_not": why_not_in_use(calibration, rules),
        "none_probability_min": rules.none_probability_min,
        "damage_prevalence": rules.damage_prevalence,
        "val": _counts(val),
        "test": _counts(test),
        **_reliability(calibration, test),
        "answers": answer_shares(answered, weights),
        "kind_rule": KIND_RULE,
        "interval_level": INTERVAL_LEVEL,
    }


def why_not_in_use(calibration: NoneCalibration | None, rules: OutcomeRules) -> str | None:
    """Return in a sentence why a model never answers "None"; None where it may. See `outcome.none_probability`."""
    if calibration is None:
        return "Val has no damaged or no clean photo, so that nobody can tell how sure the model is."
    n_fewest = min(calibration.n_damaged, calibration.n_clean)
    if n_fewest < rules.min_calibration_images:
        return (
            f"Val has {calibration.n_damaged} damaged and {calibration.n_clean} clean photos; "
            f"{rules.min_calibration_images} of either kind are needed."
        )
    if not calibration.tells_apart:
        return "On val the model's scores did not tell damaged photos from clean ones better than chance."
    return None


def thresholds_card(
    chosen: Mapping[str, WorkingThreshold], records: Mapping[str, Sequence[ImageEvaluation]]
) -> dict[str, Any]:
    """Return the part `thresholds`: each class's, how it came about, recall and precision by split with intervals.

    Args:
        chosen: By class; set on val.
        records: By name of the split.
    """
    return {
        name: {
            "value": round(threshold.value, 4),
            "source": threshold.source.value,
            "recall_target": threshold.target,
            **{split: _reached(part, name, threshold.value) for split, part in records.items()},
        }
        for name, threshold in chosen.items()
    }


def _counts(photos: Sequence[ScoredPhoto]) -> dict[str, Any]:
    n_damaged = sum(photo.is_damaged for photo in photos)
    return {
        "images": len(photos),
        "groups": len({photo.group for photo in photos}),
        "damaged": n_damaged,
        "clean": len(photos) - n_damaged,
        "damaged_share": round(n_damaged / len(photos), 4) if photos else None,
    }


def _reliability(calibration: NoneCalibration | None, test: Sequence[ScoredPhoto]) -> dict[str, Any]:
    if calibration is None or not test:
        return {"reliability": [], "expected_calibration_error": None, "brier_score": None, "separation": None}
    found = reliability(
        [1.0 - calibration.none_probability(photo.top_score) for photo in test],
        [photo.is_damaged for photo in test],
        [photo.group for photo in test],
        [photo.top_score for photo in test],
    )
    return {
        "reliability": [part.as_json() for part in found.bins],
        "expected_calibration_error": found.calibration_error.as_json(),
        "brier_score": found.brier.as_json(),
        "separation": found.separation.as_json(),
    }


def _reached(records: Sequence[ImageEvaluation], name: str, threshold: float) -> dict[str, Any]:
    groups = [record.group for record in records]
    weights = group_weights(groups, N_SAMPLES, SEED)
    table = class_table(records, name)
    found, shown = table.found_and_shown(threshold)
    return {
        "recall": proportion(found, table.truths, groups, weights).as_json(),
        "precision": proportion(found, shown, groups, weights).as_json(),
    }
