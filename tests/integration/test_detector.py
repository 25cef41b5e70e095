"""One contract for both engines: torch, which trains, and OpenVINO, which serves, say the same of the same image."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damageloop.adapters.engines.openvino import OpenVinoDetector, load_openvino
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import ConflictError, DamageloopError, InvalidInputError, NotFoundError
from damageloop.ports import Detector, RgbImage
from tests.integration.random_network import save_random_network
from workers.stages.agreement import Agreement, agreement, refuse_disagreement
from workers.stages.network import TorchDetector, load_network
from workers.stages.openvino_export import export_openvino
from workers.stages.quiet import quiet_ultralytics

SIZE = 128
LABELS = ("scratch", "dent")
RULES = DetectionRules(confidence_floor=0.3, nms_iou=0.6, max_detections=50)
MANIFEST = ReleaseManifest(1, LABELS, SIZE, "f32", {}, {}, None, {})

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    save_random_network(path, LABELS, SIZE)
    return path


@pytest.fixture(scope="module")
def release(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    files = export_openvino(weights, SIZE, folder)
    assert files == {name: folder / name for name in ("model.xml", "model.bin")}
    return folder


@pytest.fixture(scope="module")
def detectors(weights: Path, release: Path) -> dict[str, Any]:
    return {
        "torch": TorchDetector(load_network(weights), MANIFEST, RULES),
        "openvino": OpenVinoDetector(release, MANIFEST, RULES, n_threads=1),
    }


@pytest.fixture(params=["torch", "openvino"])
def detector(request: pytest.FixtureRequest, detectors: dict[str, Any]) -> Iterator[Detector]:
    return detectors[request.param]


def noise(width: int, height: int, seed: int = 0) -> RgbImage:
    """Return noise with texture at two scales."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 128, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return (coarse[:height, :width] + rng.integers(0, 128, (height, width, 3))).astype(np.uint8)


@pytest.mark.parametrize("size_wh", [(128, 128), (200, 90), (90, 200), (640, 480), (33, 47)])
def test_both_engines_give_the_same_detections(detectors: dict[str, Any], size_wh: tuple[int, int]) -> None:
    images = [noise(*size_wh, seed) for seed in range(3)]
    found = agreement(detectors["torch"], detectors["openvino"], images, LABELS)
    assert found.n_detections > 10
    # A random network puts hundreds of nearly equal boxes over one another: rounding decides some of the ties.
    assert found.n_unmatched <= 0.1 * found.n_detections
    assert found.max_box_difference_px < 0.05
    assert found.max_score_difference < 0.0005
    assert found.max_entropy_difference < 0.0005
    assert found.max_embedding_difference < 0.001
    assert found.max_box_feature_difference < 0.001


def test_entropy_lies_between_0_and_1_and_tells_boxes_apart(detector: Detector) -> None:
    entropies = np.array([d.localization_entropy for d in detector.detect(noise(150, 100)).detections])
    assert entropies.min() > 0
    assert entropies.max() < 1
    assert entropies.std() > 0


def test_an_answer_keeps_its_contract(detector: Detector) -> None:
    answer = detector.detect(noise(200, 90))
    confidences = [d.confidence for d in answer.detections]
    assert confidences == sorted(confidences, reverse=True)
    assert 0 < len(confidences) <= RULES.max_detections
    assert answer.top_score >= confidences[0] >= confidences[-1] >= RULES.confidence_floor
    assert answer.embedding.shape == (448,)
    assert answer.embedding.dtype == np.float32
    assert answer.box_features is not None
    assert answer.box_features.dtype == np.float32
    assert answer.box_features.shape == (len(confidences), 64)
    assert np.allclose(np.linalg.norm(answer.box_features, axis=1), 1.0)
    for detection in answer.detections:
        assert detection.box.is_inside((200, 90))
        assert detection.damage_class == LABELS[int(np.argmax(detection.class_scores))]


def test_the_same_image_gives_the_same_answer_from_many_threads(detector: Detector) -> None:
    images = [noise(130, 100, seed) for seed in range(4)]
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, images * 3))
    for expected, answer in zip(alone * 3, together, strict=True):
        assert answer.detections == expected.detections
        assert np.array_equal(answer.embedding, expected.embedding)


def test_the_embedding_is_the_caller_s_own(detector: Detector) -> None:
    first = detector.detect(noise(128, 128, 0)).embedding
    copy = first.copy()
    detector.detect(noise(128, 128, 1))
    assert np.array_equal(first, copy)


def test_box_features_are_what_the_last_layer_makes_class_scores_of(detectors: dict[str, Any]) -> None:
    raw, _ = detectors["openvino"].forward(noise(128, 128))
    head = detectors["torch"]._network.model.model[-1]
    first_level = slice(0, (SIZE // 8) ** 2)
    weight = head.cv3[0][-1].weight.detach().numpy()[:, :, 0, 0]
    logits = weight @ raw.anchor_features[:, first_level]
    sigmoid = 0.5 * (1 + np.tanh(logits / 2))
    assert np.allclose(sigmoid, raw.output0[4:, first_level], atol=1e-4)


def test_scores_and_boxes_are_those_of_ultralytics_own_forward_pass(detectors: dict[str, Any]) -> None:
    import torch

    network = detectors["torch"]._network
    pixels = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(network(pixels)[0], network.model(pixels)[0])


def test_a_release_from_before_box_features_gives_none(release: Path, tmp_path: Path) -> None:
    ov = load_openvino()
    model = ov.Core().read_model(release / "model.xml")
    model.remove_result(model.output("anchor_features").get_node())
    ov.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    image = noise(150, 100)
    old, new = (OpenVinoDetector(folder, MANIFEST, RULES, n_threads=1).detect(image) for folder in (tmp_path, release))
    assert old.box_features is None
    assert new.box_features is not None
    assert len(old.detections) == len(new.detections) > 0
    assert np.allclose(old.embedding, new.embedding, atol=1e-5)


def test_the_export_leaves_its_agreement_beside_the_model(release: Path) -> None:
    figures = json.loads((release / "agreement.json").read_text())
    assert figures["n_detections"] > 0
    assert figures["max_box_difference_px"] < 0.05


@pytest.mark.parametrize(
    "worse",
    [
        {"max_box_difference_px": 0.6},
        {"max_score_difference": 0.006},
        {"max_entropy_difference": 0.006},
        {"max_embedding_difference": 0.006},
        {"max_box_feature_difference": 0.006},
    ],
)
def test_an_export_beyond_the_tolerance_is_refused(worse: dict[str, float]) -> None:
    good = Agreement(6, 100, 2, 0.4, 0.004, 0.004, 0.004, 0.004)
    refuse_disagreement(good)
    with pytest.raises(DamageloopError, match="differs from torch"):
        refuse_disagreement(replace(good, **worse))  # type: ignore[arg-type]


def save_static(release: Path, folder: Path) -> None:
    """Write the graph as releases had it before graphs could be reshaped: for squares of one size."""
    ov = load_openvino()
    model = ov.Core().read_model(release / "model.xml")
    model.reshape([1, SIZE, SIZE, 3])
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)


def test_a_graph_for_squares_alone_says_the_same(release: Path, tmp_path: Path) -> None:
    save_static(release, tmp_path)
    image = noise(150, 100)
    old, new = (OpenVinoDetector(folder, MANIFEST, RULES, n_threads=1).detect(image) for folder in (tmp_path, release))
    assert old.detections == new.detections
    assert np.array_equal(old.embedding, new.embedding)


def test_a_release_of_another_size_or_without_a_model_is_refused(release: Path, tmp_path: Path) -> None:
    save_static(release, tmp_path)
    with pytest.raises(ConflictError, match="its manifest says"):
        OpenVinoDetector(tmp_path, replace(MANIFEST, image_size=256), RULES)
    (tmp_path / "model.xml").write_text("no model")
    with pytest.raises(ConflictError, match=r"model\.xml"):
        OpenVinoDetector(tmp_path, MANIFEST, RULES)
    with pytest.raises(InvalidInputError, match="int4"):
        OpenVinoDetector(release, MANIFEST, RULES, precision="int4")


def test_weights_are_never_fetched_and_never_run(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_network(tmp_path / "yolo11n.pt")
    (tmp_path / "broken.pt").write_bytes(b"no checkpoint")
    with pytest.raises(InvalidInputError, match=r"broken\.pt"):
        load_network(tmp_path / "broken.pt")


def test_the_serving_side_loads_no_torch_and_no_telemetry(release: Path) -> None:
    script = (
        "import sys, pathlib, numpy\n"
        "from damageloop.adapters.engines.openvino import OpenVinoDetector\n"
        "from damageloop.adapters.engines.yolo import DetectionRules\n"
        "from damageloop.domain.release import ReleaseManifest\n"
        f"manifest = ReleaseManifest(1, {LABELS!r}, {SIZE}, 'f32', {{}}, {{}}, None, {{}})\n"
        f"detector = OpenVinoDetector(pathlib.Path({str(release)!r}), manifest, DetectionRules(0.3, 0.6, 50))\n"
        "detector.detect(numpy.zeros((64, 64, 3), dtype=numpy.uint8))\n"
        "print([name for name in ('torch', 'ultralytics', 'openvino_telemetry') if sys.modules.get(name)])\n"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_process_survives_a_signal_after_its_detectors_went_in_any_order(release: Path) -> None:
    script = (
        "import pathlib, signal\n"
        "from damageloop.adapters.engines.openvino import OpenVinoDetector\n"
        "from damageloop.adapters.engines.yolo import DetectionRules\n"
        "from damageloop.domain.release import ReleaseManifest\n"
        f"manifest = ReleaseManifest(1, {LABELS!r}, {SIZE}, 'f32', {{}}, {{}}, None, {{}})\n"
        f"folder = pathlib.Path({str(release)!r})\n"
        "detectors = [OpenVinoDetector(folder, manifest, DetectionRules(0.3, 0.6, 50)) for _ in range(3)]\n"
        "while detectors:\n"
        "    detectors.pop(0)\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    print('survived')\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "survived")


def test_ultralytics_is_quiet() -> None:
    folder = quiet_ultralytics()
    from ultralytics import settings
    from ultralytics.utils import ONLINE
    from ultralytics.utils.checks import check_font

    assert Path(settings.file).is_relative_to(folder)
    assert not ONLINE
    assert not any(settings[name] for name in ("sync", "mlflow", "dvc", "wandb", "clearml", "comet", "tensorboard"))
    assert Path(str(check_font("Arial.ttf"))).is_relative_to(folder)
    assert Path(settings["runs_dir"]).is_relative_to(folder)
