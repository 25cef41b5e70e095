"""What the evaluation tells people: the parts of the model card that come of val, test and the train images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from damageloop.adapters.images import measure_quality
from damageloop.domain.annotation import Verdict
from damageloop.domain.evaluation import ImageEvaluation
from damageloop.domain.model_card import ScoredPhoto, none_card, thresholds_card
from damageloop.domain.outcome import (
    NoneCalibration,
    Outcome,
    OutcomeRules,
    above_threshold,
    image_outcome,
    is_usable,
    quality_flags,
)
from damageloop.domain.photo_answers import AnsweredPhoto, common_sizes, photo_kind
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.domain.thresholds import WorkingThreshold
from damageloop.domain.training_content import training_content
from damageloop.params import Params
from damageloop.services.serving.answer_damage import outcome_rules
from workers.stages.stage import load_image, of_split, spread

# Enough to tell the share of dark photos to a few percent; reading all of a large snapshot would take minutes.
_LOOKED_AT = 500


def make_card(
    params: Params,
    entries: Sequence[SnapshotEntry],
    answers: Mapping[str, DetectorAnswer],
    calibration: NoneCalibration | None,
    chosen: Mapping[str, WorkingThreshold],
    records: Mapping[Split, Sequence[ImageEvaluation]],
) -> dict[str, Any]:
    """Return the parts of the card by name; see `domain.model_card`.

    Args:
        entries: The whole snapshot.
        answers: Of the val and test images, by hash.
        chosen: Working threshold by class.
        records: Of val and test.
    """
    rules = outcome_rules(params.serving)
    val, test = (of_split(entries, split) for split in (Split.VAL, Split.TEST))
    thresholds = {name: threshold.value for name, threshold in chosen.items()}
    common = common_sizes([entry.size_wh for entry in entries])
    answered = [
        AnsweredPhoto(
            entry.group,
            photo_kind(entry.size_wh, common),
            entry.verdict is Verdict.DAMAGED,
            _outcome(entry, answers[entry.sha256], params, thresholds, calibration, rules),
        )
        for entry in test
    ]
    return {
        "none": none_card(calibration, rules, _scored(val, answers), _scored(test, answers), answered),
        "thresholds": thresholds_card(chosen, {split.value: part for split, part in records.items()}),
        "training": training_content(
            entries, params.labels.classes, _brightnesses(entries, params), rules.dark_brightness
        ),
    }


def _outcome(
    entry: SnapshotEntry,
    answer: DetectorAnswer,
    params: Params,
    thresholds: Mapping[str, float],
    calibration: NoneCalibration | None,
    rules: OutcomeRules,
) -> Outcome:
    """Return what a pricing service would be told of the photo."""
    flags = quality_flags(measure_quality(load_image(entry, params)), entry.size_wh, rules)
    if not is_usable(flags):
        return Outcome.UNUSABLE_IMAGE
    shown = above_threshold(answer.detections, thresholds, params.serving.default_threshold)
    return image_outcome(len(shown), answer.top_score, calibration, rules)[0]


def _scored(entries: Sequence[SnapshotEntry], answers: Mapping[str, DetectorAnswer]) -> list[ScoredPhoto]:
    return [ScoredPhoto(e.group, e.verdict is Verdict.DAMAGED, answers[e.sha256].top_score) for e in entries]


def _brightnesses(entries: Sequence[SnapshotEntry], params: Params) -> dict[str, float]:
    looked_at = spread(of_split(entries, Split.TRAIN), _LOOKED_AT)
    return {entry.sha256: measure_quality(load_image(entry, params)).brightness for entry in looked_at}
