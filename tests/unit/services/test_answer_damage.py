"""A pricing service is told damages, "none" only where that is known, or that it can't be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from damageloop.domain import feature_text
from damageloop.domain.drift.bounds import DriftBounds
from damageloop.domain.geometry import Box
from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.prediction import Detection
from damageloop.errors import InvalidImageError, InvalidInputError, NotFoundError
from damageloop.ports import Photo, RgbImage
from damageloop.services.serving.answer_damage import AnswerDamage, NoReadableImageError, answer_unreadable
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.serving_params import ServingParams
from tests.fakes.clock import FakeClock
from tests.fakes.detector import CALIBRATION, FakeDetector, FixedChampion, make_manifest
from tests.fakes.memory_units import MemoryUnits

PARAMS = ServingParams(
    default_threshold=0.25,
    none_probability_min=0.7,
    min_calibration_images=30,
    dark_brightness=50.0,
    min_brightness=12.0,
    min_sharpness=2.0,
    min_side_px=64,
    severity_moderate_from=0.005,
    severity_severe_from=0.03,
    max_images_per_request=3,
    max_request_bytes=1000,
)
GOOD, DARK, TOO_DARK, BLURRED, SMALL, BROKEN = b"good", b"dark", b"too dark", b"blurred", b"small", b"broken"
QUALITIES = {DARK: (30.0, 20.0), TOO_DARK: (5.0, 20.0), BLURRED: (120.0, 1.0)}


@dataclass
class FakeReader:
    """Images are words; one pixel value tells them apart."""

    def read(self, content: bytes, side_px: int) -> Photo:
        if content == BROKEN:
            raise InvalidImageError("truncated", "The image is cut short.")
        width, height = (100, 40) if content == SMALL else (200, 100)
        kind = 1 + list(QUALITIES).index(content) if content in QUALITIES else 0
        return Photo(np.full((height, width, 3), kind, dtype=np.uint8), (width, height))

    def quality(self, image: RgbImage) -> ImageQuality:
        kind = int(image[0, 0, 0])
        brightness, sharpness = list(QUALITIES.values())[kind - 1] if kind else (120.0, 20.0)
        return ImageQuality(brightness, 40.0, sharpness)


def make_answer_damage(*detectors: FakeDetector, units: MemoryUnits | None = None) -> AnswerDamage:
    numbers = count(1)
    return AnswerDamage(
        FixedChampion(list(detectors)),
        FakeReader(),
        EvidenceLog(units or MemoryUnits()),
        FakeClock(),
        lambda: f"request-{next(numbers)}",
        PARAMS,
    )


def dent(confidence: float, box: Box | None = None) -> Detection:
    return Detection("dent", confidence, box or Box(10, 10, 30, 20))


def ask(contents: Sequence[bytes], detector: FakeDetector) -> dict[str, Any]:
    return make_answer_damage(detector)([(f"{n}.jpg", content) for n, content in enumerate(contents)])


def test_a_detection_above_its_threshold_is_damage_with_share_and_severity() -> None:
    answer = ask([GOOD], FakeDetector(detections=[dent(0.87654)]))
    assert (answer["outcome"], answer["model_version"]) == ("damaged", "1")
    assert answer["images"][0] == {
        "filename": "0.jpg",
        "width": 200,
        "height": 100,
        "outcome": "damaged",
        "quality": {"brightness": 120.0, "contrast": 40.0, "sharpness": 20.0, "flags": []},
        "detections": [
            {
                "damage_class": "dent",
                "confidence": 0.8765,
                "box": {"x_min": 10.0, "y_min": 10.0, "x_max": 30.0, "y_max": 20.0},
                "area_share": 0.01,
                "severity": "moderate",
                "severity_source": "rule",
            }
        ],
        "error": None,
    }


@pytest.mark.parametrize(
    ("box", "severity"),
    [
        (Box(0, 0, 9.9, 10), "minor"),
        (Box(0, 0, 10, 10), "moderate"),
        (Box(0, 0, 59.9, 10), "moderate"),
        (Box(0, 0, 60, 10), "severe"),
        (Box(-50, 0, 10, 10), "moderate"),  # what lies outside the image does not count
    ],
)
def test_severity_rises_with_the_share_of_the_image(box: Box, severity: str) -> None:
    (found,) = ask([GOOD], FakeDetector(detections=[dent(0.9, box)]))["images"][0]["detections"]
    assert found["severity"] == severity


def test_a_class_has_its_own_threshold_and_others_the_default() -> None:
    scratch = Detection("scratch", 0.29, Box(0, 0, 10, 10))
    assert (
        ask([GOOD], FakeDetector(detections=[scratch, dent(0.25)]))["images"][0]["detections"][0]["confidence"] == 0.25
    )
    assert ask([GOOD], FakeDetector(detections=[scratch, dent(0.24)]))["images"][0]["detections"] == []


def test_none_is_said_where_the_calibration_says_so() -> None:
    answer = ask([GOOD, DARK], FakeDetector(top_score=0.1))
    assert answer["outcome"] == "none"
    assert answer["none_probability"] == round(CALIBRATION.none_probability(0.1), 4) == 0.9933
    assert answer["images"][1]["quality"]["flags"] == ["dark"]


@pytest.mark.parametrize("top_score", [0.33, 0.35])
def test_between_none_and_damaged_lies_unsure(top_score: float) -> None:
    assert ask([GOOD], FakeDetector(top_score=top_score))["outcome"] == "unsure"


@pytest.mark.parametrize(
    "calibration",
    [
        None,
        NoneCalibration(-7.0, 20.0, n_damaged=29, n_clean=400),
        NoneCalibration(-7.0, 20.0, n_damaged=400, n_clean=29),
    ],
)
@pytest.mark.parametrize("top_score", [0.0, 0.01, 0.2])
def test_none_is_never_said_on_less_than_thirty_val_images_of_either_kind(
    calibration: NoneCalibration | None, top_score: float
) -> None:
    answer = ask([GOOD], FakeDetector(make_manifest(calibration=calibration), top_score=top_score))
    assert (answer["outcome"], answer["none_probability"]) == ("unsure", None)


@pytest.mark.parametrize(("content", "flag"), [(TOO_DARK, "too_dark"), (BLURRED, "blurred"), (SMALL, "small")])
def test_a_photo_that_cannot_be_judged_is_unusable_and_not_shown_to_the_model(content: bytes, flag: str) -> None:
    detector = FakeDetector(detections=[dent(0.9)])
    answer = ask([content], detector)
    assert (answer["outcome"], answer["images"][0]["outcome"]) == ("unusable_image", "unusable_image")
    assert answer["images"][0]["quality"]["flags"] == [flag]
    assert detector.n_calls == 0


def test_unusable_and_undecodable_photos_leave_the_outcome_to_the_others() -> None:
    answer = ask([BROKEN, TOO_DARK, GOOD], FakeDetector(top_score=0.1))
    assert answer["outcome"] == "none"
    assert [image["outcome"] for image in answer["images"]] == [None, "unusable_image", "none"]
    assert answer["images"][0]["error"] == {"code": "truncated", "message": "The image is cut short."}
    assert (answer["images"][0]["width"], answer["images"][0]["quality"]) == (None, None)


def test_undecodable_with_unusable_is_unusable() -> None:
    assert ask([BROKEN, BLURRED], FakeDetector())["outcome"] == "unusable_image"


def test_nothing_readable_is_refused_with_a_reason_for_each_file_and_not_remembered() -> None:
    units = MemoryUnits()
    with pytest.raises(NoReadableImageError) as caught:
        make_answer_damage(FakeDetector(), units=units)([("a.jpg", BROKEN), ("b.jpg", BROKEN)])
    form = answer_unreadable(caught.value)
    assert [image["error"]["code"] for image in form["images"]] == ["truncated", "truncated"]
    assert form["outcome"] is None
    assert units.evidence.rows == {}


@pytest.mark.parametrize("n_files", [0, 4])
def test_the_number_of_photos_is_limited(n_files: int) -> None:
    with pytest.raises(InvalidInputError, match="1 to 3 photos"):
        ask([GOOD] * n_files, FakeDetector())


def test_one_request_is_answered_by_one_version_while_a_promotion_happens() -> None:
    old, new = FakeDetector(make_manifest(1)), FakeDetector(make_manifest(2))
    answer_damage = make_answer_damage(old, new)
    first = answer_damage([("a.jpg", GOOD), ("b.jpg", GOOD)])
    second = answer_damage([("a.jpg", GOOD), ("b.jpg", GOOD)])
    assert (first["model_version"], second["model_version"]) == ("1", "2")
    assert (old.n_calls, new.n_calls) == (2, 2)


def test_the_answer_can_be_given_again_exactly() -> None:
    units = MemoryUnits()
    answer_damage = make_answer_damage(FakeDetector(detections=[dent(0.9)]), units=units)
    answer = answer_damage([("a.jpg", GOOD)], vehicle_id="WVW123")
    assert answer_damage.again(answer["request_id"]) == answer
    kept = units.evidence.rows[answer["request_id"]]
    assert (kept["vehicle_id"], len(kept["image_sha256"][0]), kept["thresholds"]) == ("WVW123", 64, {"scratch": 0.3})


def test_evidence_has_the_features_of_each_detection_in_the_answer() -> None:
    units = MemoryUnits()
    weak, strong = Detection("scratch", 0.1, Box(0, 0, 10, 10)), dent(0.9)
    detector = FakeDetector(detections=[strong, weak, dent(0.8)])
    rows = np.eye(3, 4, dtype=np.float32)
    detector.box_features = rows
    answer = make_answer_damage(detector, units=units)([("a.jpg", GOOD), ("b.jpg", TOO_DARK), ("c.jpg", BROKEN)])
    seen, dark, broken = units.evidence.rows[answer["request_id"]]["photos"]
    assert [feature_text.decode(text).tolist() for text in seen["features"]] == [rows[0].tolist(), rows[2].tolist()]
    assert feature_text.decode(seen["embedding"]).tolist() == [0.0, 0.0, 0.0, 0.0]
    assert dark == broken == {"embedding": None, "features": []}


def test_a_model_without_box_features_leaves_them_open() -> None:
    units = MemoryUnits()
    answer = make_answer_damage(FakeDetector(detections=[dent(0.9)]), units=units)([("a.jpg", GOOD)])
    assert units.evidence.rows[answer["request_id"]]["photos"][0]["features"] == [None]


def test_an_unknown_request_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        make_answer_damage(FakeDetector()).again("nothing")


def drifted(bounds: DriftBounds, *, none_is_unsure: bool = True) -> AnswerDamage:
    found = make_answer_damage(FakeDetector(top_score=0.01))
    return replace(found, drift=lambda: bounds, none_is_unsure=lambda: none_is_unsure)


def test_a_photo_beyond_the_bounds_of_an_event_says_so_and_is_never_none() -> None:
    plain = drifted(DriftBounds({}))([("a.jpg", GOOD)])["images"][0]
    assert (plain["outcome"], plain["quality"]["flags"]) == ("none", [])
    darker = DriftBounds({"brightness": (130.0, None)})
    answer = drifted(darker)([("a.jpg", GOOD)])["images"][0]
    assert (answer["outcome"], answer["quality"]["flags"]) == ("unsure", ["dark"])
    kept = drifted(darker, none_is_unsure=False)([("a.jpg", GOOD)])["images"][0]
    assert (kept["outcome"], kept["quality"]["flags"]) == ("none", ["dark"])


def test_damage_beyond_the_bounds_stays_damage_and_a_flag_is_told_once() -> None:
    found = make_answer_damage(FakeDetector(detections=[dent(0.9)]))
    answer = replace(found, drift=lambda: DriftBounds({"brightness": (130.0, None)}))([("a.jpg", DARK)])["images"][0]
    assert (answer["outcome"], answer["quality"]["flags"]) == ("damaged", ["dark"])
