"""The demo as a new user runs it, at three seeds; and on real photos where they are found. Takes long."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.platform_under_test import ROOT, PlatformUnderTest

pytestmark = [pytest.mark.full, pytest.mark.timeout(3600)]

REAL = ROOT.parent / "shared" / "data" / "car-damage"
WEIGHTS = ROOT.parent / "shared" / "weights"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_full_demo_promotes_on_generated_photos(tmp_path: Path, seed: int) -> None:
    platform = PlatformUnderTest(tmp_path / "var")
    done = platform.run("samples.demo", "--seed", str(seed), timeout_s=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((platform.home / "demo" / "result.json").read_text())
    assert result["decisions"][0]["decision"] == "promote", result["decisions"]
    assert result["prediction"]["answer"]["model_version"] == result["decisions"][0]["challenger"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real photos are not here")
def test_the_demo_records_a_decision_on_real_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DAMAGELOOP_WEIGHTS_DIR", str(WEIGHTS))
    platform = PlatformUnderTest(tmp_path / "var")
    photos = ["--images", str(REAL / "images" / "pool"), "--annotations", str(REAL / "pool.json")]
    base = ["--base", "yolo11n-coco-dequantised.pt", "--limit", "400"]
    done = platform.run("samples.demo", *photos, *base, timeout_s=3000)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((platform.home / "demo" / "result.json").read_text())
    assert result["decisions"][0]["decision"] in {"promote", "refuse", "insufficient_evidence"}
