"""Release manifests as files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from damageloop.domain.outcome import NoneCalibration, ScoreFeature
from damageloop.domain.release import ReleaseManifest, manifest_from_json, manifest_to_json

MANIFEST = ReleaseManifest(
    model_version=7,
    labels=("scratch", "dent"),
    image_size=256,
    precision="f32",
    files={"model.bin": "ab" * 32},
    thresholds={"scratch": 0.3, "dent": 1.0},
    none_calibration=NoneCalibration(-5.0, 20.5, 40, 50),
    source={"snapshot": "snapshot-0001", "run_id": "r1", "base": "starter-yolo11n.pt"},
)


BY_LOGIT = NoneCalibration(3.0, 1.2, 40, 50, ScoreFeature.LOGIT)


@pytest.mark.parametrize(
    "manifest",
    [
        MANIFEST,
        replace(MANIFEST, none_calibration=None, files={}, source={}),
        replace(MANIFEST, none_calibration=BY_LOGIT, card={"training": {"images": 3}}),
    ],
)
def test_a_manifest_survives_its_file(manifest: ReleaseManifest) -> None:
    assert manifest_from_json(json.loads(json.dumps(manifest_to_json(manifest)))) == manifest


def test_the_version_is_written_as_a_string() -> None:
    assert manifest_to_json(MANIFEST)["model_version"] == "7"


def test_a_manifest_from_before_there_was_a_choice_of_features_keeps_its_words() -> None:
    written = manifest_to_json(MANIFEST)
    assert set(written["none_calibration"]) == {"intercept", "slope", "n_damaged", "n_clean"}
    assert "card" not in written
    assert manifest_to_json(replace(MANIFEST, none_calibration=BY_LOGIT))["none_calibration"]["feature"] == (
        "logit_top_score"
    )


def test_a_manifest_with_an_unknown_feature_is_refused() -> None:
    written = manifest_to_json(MANIFEST)
    written["none_calibration"]["feature"] = "mood"
    with pytest.raises(ValueError, match="mood"):
        manifest_from_json(written)
