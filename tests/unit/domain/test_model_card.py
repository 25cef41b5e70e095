"""What a card says of "None", of thresholds and of what was never in training."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.geometry import Box
from damageloop.domain.model_card import ScoredPhoto, none_card, thresholds_card, why_not_in_use
from damageloop.domain.outcome import NoneCalibration, Outcome, OutcomeRules
from damageloop.domain.photo_answers import AnsweredPhoto, PhotoKind
from damageloop.domain.prediction import Detection
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.domain.thresholds import ThresholdRules, working_thresholds
from damageloop.domain.training_content import training_content

RULES = OutcomeRules(0.7, 30, 50.0, 12.0, 2.0, 64)
FIT = NoneCalibration(-5.0, 20.0, 40, 40)
BOX = Box(0.0, 0.0, 10.0, 10.0)
PHOTOS = [ScoredPhoto(f"car-{i}", i % 2 == 0, 0.9 if i % 2 == 0 else 0.0) for i in range(60)]
ANSWERED = [
    AnsweredPhoto(p.group, PhotoKind.WHOLE, p.is_damaged, Outcome.DAMAGED if p.is_damaged else Outcome.NONE)
    for p in PHOTOS
]


def entry(number: int, size_wh: tuple[int, int] = (640, 480), *boxes: Box, split: Split = Split.TRAIN) -> SnapshotEntry:
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    labeled = tuple(LabeledBox("dent", box) for box in boxes)
    return SnapshotEntry(f"{number:064x}", "jpg", size_wh, f"car-{number}", split, verdict, labeled)


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (None, "no damaged or no clean"),
        (replace(FIT, n_clean=29), "40 damaged and 29 clean photos; 30"),
        (replace(FIT, slope=0.0), "better than chance"),
    ],
)
def test_why_a_model_never_says_none_is_told(fit: NoneCalibration | None, words: str) -> None:
    assert words in (why_not_in_use(fit, RULES) or "")
    assert why_not_in_use(FIT, RULES) is None


def test_the_none_card_has_reliability_counts_and_answers() -> None:
    card = none_card(FIT, RULES, PHOTOS[:40], PHOTOS, ANSWERED)
    assert card["val"] == {"images": 40, "groups": 40, "damaged": 20, "clean": 20, "damaged_share": 0.5}
    assert card["in_use"] is True
    assert [part["observed"]["value"] for part in card["reliability"]] == [0.0, 1.0]
    # |0 - 0.0067| and |1 - 1.0000|, half each.
    assert card["expected_calibration_error"]["value"] == pytest.approx(0.0067 / 2, abs=1e-4)
    assert card["separation"]["value"] == 1.0
    assert card["answers"]["clean"]["all"]["damaged"]["value"] == 0.0
    assert card["answers"]["clean"]["crop"]["images"] == 0
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_reliability_is_told_before_the_shift_to_another_prevalence() -> None:
    shifted = none_card(FIT, replace(RULES, damage_prevalence=0.01), PHOTOS, PHOTOS, ANSWERED)
    own = none_card(FIT, RULES, PHOTOS, PHOTOS, ANSWERED)
    assert shifted["reliability"] == own["reliability"]
    assert shifted["damage_prevalence"] == 0.01


def test_a_model_without_a_calibration_has_no_reliability() -> None:
    card = none_card(None, RULES, PHOTOS[:1], PHOTOS, ANSWERED)
    assert (card["in_use"], card["reliability"], card["expected_calibration_error"]) == (False, [], None)


def test_a_class_tells_what_its_threshold_gives_on_val_and_on_test() -> None:
    def record(number: int, confidence: float, is_right: bool) -> ImageEvaluation:
        found = [Detection("dent", confidence, BOX)]
        truths = [LabeledBox("dent", BOX if is_right else Box(50.0, 50.0, 60.0, 60.0))]
        return evaluate_image(str(number), f"car-{number}", truths, found)

    val = [record(i, 0.9, True) for i in range(9)] + [record(9, 0.4, True)]
    test = [record(i, 0.9, i < 8) for i in range(10)]
    chosen = working_thresholds(val, ["dent"], ThresholdRules(0.25, recall_target=0.9))
    card = thresholds_card(chosen, {"val": val, "test": test})["dent"]
    assert (card["value"], card["source"], card["recall_target"]) == (0.65, "recall_target", 0.9)
    assert (card["val"]["recall"]["value"], card["val"]["precision"]["value"]) == (0.9, 1.0)
    assert (card["test"]["recall"]["value"], card["test"]["precision"]["value"]) == (0.8, 0.8)
    assert card["test"]["recall"]["low"] < 0.8 < card["test"]["recall"]["high"]


def test_what_training_held_is_counted_on_train_alone() -> None:
    entries = [entry(1, (640, 480), BOX), entry(2, (1280, 960)), entry(3, (4000, 3000), BOX, split=Split.TEST)]
    brightness = {entries[0].sha256: 20.0, entries[1].sha256: 120.0}
    found = training_content(entries, ["scratch", "dent"], brightness, 50.0)
    assert (found["images"], found["groups"], found["clean"]) == (2, 2, 1)
    assert found["boxes"] == {"scratch": 0, "dent": 1}
    assert found["long_side_px"]["p100"] == 1280
    assert found["box_area_share"]["p50"] == pytest.approx(100 / (640 * 480), abs=1e-5)
    assert (found["dark_share"], found["brightness_images"]) == (0.5, 2)
    assert found["splits"]["test"]["images"] == 1
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_was_never_or_hardly_in_training_is_said_in_words() -> None:
    entries = [entry(i, (640, 480), BOX) for i in range(40)]
    words = training_content(entries, ["dent", "glass"], {e.sha256: 120.0 for e in entries}, 50.0)["never_seen"]
    assert "No box of glass." in words
    assert "No photo without damage." in words
    assert "No dark photo (mean brightness below 50)." in words
    assert "No photo with a side longer than 640 px." in words
    assert "No portrait photo." in words
    assert not any("of dent" in sentence or "landscape" in sentence for sentence in words)


def test_what_is_rare_is_counted_and_what_was_estimated_says_so() -> None:
    entries = [entry(i, (480, 640), *([BOX] if i < 29 else [])) for i in range(100)]
    brightness = {e.sha256: 10.0 if i < 1 else 120.0 for i, e in enumerate(entries[:50])}
    words = training_content(entries, ["dent"], brightness, 50.0)["never_seen"]
    assert "Only 29 boxes of dent." in words
    assert "Only 2 dark photos (mean brightness below 50, estimated from 50 photos)." in words
    assert not any("without damage" in sentence for sentence in words)


def test_clean_photos_that_are_nearly_all_crops_are_told_apart_from_whole_ones() -> None:
    crops = [entry(i, (300 + i, 333 + 2 * i)) for i in range(40)]
    whole = [entry(100 + i, (640, 480), *([BOX] if i >= 26 else [])) for i in range(90)]
    words = training_content(crops + whole, ["dent"], {}, 50.0)["never_seen"]
    assert "Only 26 whole photos without damage; the other clean ones are crops." in words


def test_separation_is_judged_by_the_scores_even_where_the_calibration_makes_nothing_of_them() -> None:
    card = none_card(replace(FIT, intercept=0.0, slope=0.0), RULES, PHOTOS, PHOTOS, ANSWERED)
    assert card["separation"]["value"] == 1.0
    assert card["in_use"] is False
    assert len(card["reliability"]) == 1


def test_a_snapshot_without_train_images_says_that() -> None:
    assert "No photo at all." in training_content([], ["dent"], {}, 50.0)["never_seen"]
