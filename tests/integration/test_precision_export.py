"""The starter's network as a release: other shapes and formats agree with torch, int8 is made, judged and chosen."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from damageloop.adapters.engines.openvino import OpenVinoDetector, load_openvino
from damageloop.adapters.engines.yolo import DetectionRules, RawOutput, letterbox
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import DamageloopError
from damageloop.params import Params
from damageloop.ports import RgbImage
from samples.generator.world import STARTER_WORLD
from samples.generator.write import encode, photos
from tests.fakes.photos import make_params
from workers.stages.graph_formats import ONNX_FILE, TORCHSCRIPT_FILE, export_formats
from workers.stages.openvino_export import export_openvino
from workers.stages.quantization import quantize
from workers.stages.quiet import quiet_ultralytics

SIZE = 128
LABELS = ("scratch", "dent")
STARTER = Path(__file__).parents[2] / "starter" / "starter-yolo11n.pt"
EASY_GATE = {"min_test_images": 6, "min_test_groups": 6, "min_test_boxes_per_class": 3, "bootstrap_samples": 100}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@dataclass(frozen=True)
class Site:
    """A pipeline's folder after its stage `evaluate`, with the exported graph."""

    root: Path
    entries: tuple[SnapshotEntry, ...]

    @property
    def export(self) -> Path:
        return self.root / "build" / "export"

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.export / "precision.json").read_text())
        return report


@pytest.fixture(name="graph", scope="module")
def graph_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the starter's network as the export leaves it, in every format."""
    quiet_ultralytics()
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("graph")
    export_openvino(STARTER, SIZE, folder)
    export_formats(STARTER, SIZE, folder, [ONNX_FILE, TORCHSCRIPT_FILE])
    return folder


@pytest.fixture(name="labeled", scope="module")
def labeled_() -> list[tuple[bytes, SnapshotEntry]]:
    """Return generated photos with their entries: 8 of train and 12 of val, each of a car of its own."""
    made = []
    for number, named in enumerate(photos(vehicles=20, views=1, seed=5, size_wh=(160, 120), world=STARTER_WORLD)):
        content = encode(named.photo)
        boxes = tuple(LabeledBox(box.label, Box(*(float(v) for v in box.xyxy_px))) for box in named.photo.boxes)
        verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
        split = Split.TRAIN if number < 8 else Split.VAL
        sha256 = hashlib.sha256(content).hexdigest()
        made.append((content, SnapshotEntry(sha256, "jpg", (160, 120), named.group, split, verdict, boxes)))
    return made


@pytest.fixture(name="int8", scope="module")
def int8_(graph: Path, tmp_path_factory: pytest.TempPathFactory, labeled: list[tuple[bytes, SnapshotEntry]]) -> Path:
    folder = tmp_path_factory.mktemp("int8")
    loaders = [partial(_network_input, content) for content, _ in labeled[:4]]
    quantize(graph / "model.xml", folder / "model.xml", loaders)
    return folder


def _network_input(content: bytes) -> RgbImage:
    return letterbox(_pixels(content), SIZE).pixels


def _pixels(content: bytes) -> RgbImage:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(name="site")
def site_(
    tmp_path: Path,
    graph: Path,
    labeled: list[tuple[bytes, SnapshotEntry]],
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    site = Site(tmp_path, tuple(entry for _, entry in labeled))
    site.export.mkdir(parents=True)
    for name in ("model.xml", "model.bin"):
        (site.export / name).write_bytes((graph / name).read_bytes())
    for content, entry in labeled:
        photo = tmp_path / "build" / "dataset" / "images" / entry.split.value / f"{entry.sha256}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(content)
    calibration = {"intercept": 0.0, "slope": 1.0, "n_damaged": 6, "n_clean": 6}
    evaluation = {"thresholds": dict.fromkeys(LABELS, 0.1), "none_calibration": calibration}
    (tmp_path / "build" / "evaluation.json").write_text(json.dumps(evaluation))
    monkeypatch.chdir(tmp_path)
    return site


def with_precisions(
    *precisions: str, map50_difference_above: float = -1.0, shapes: Sequence[str] = ("square",)
) -> Params:
    return make_params(
        model={"image_size": SIZE},
        serving={"shapes": list(shapes)},
        export={
            "precisions": list(precisions),
            "calibration_images": 8,
            "map50_difference_above": map50_difference_above,
        },
        gate={**EASY_GATE, "recall_difference_above": -1.0, "guards": []},
    )


def choose(params: Params, site: Site, int8: Path) -> dict[str, Any]:
    """Run the choice with an int8 graph that is made already: calibrating is the slow part."""
    from workers.stages.precision import choose_release

    def copied(model_file: Path, target: Path, inputs: Sequence[Callable[[], RgbImage]]) -> None:
        assert is_quantized(model_file.parent) is False
        assert (len(inputs), inputs[0]().shape) == (8, (SIZE, SIZE, 3))
        shutil.copytree(int8, target.parent)

    choose_release(params, site.entries, copied)
    return site.report()


def is_quantized(folder: Path) -> bool:
    model = load_openvino().Core().read_model(folder / "model.xml")
    return any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())


def is_dynamic(folder: Path) -> bool:
    return bool(load_openvino().Core().read_model(folder / "model.xml").is_dynamic())


def test_every_shape_of_the_graph_agrees_with_torch(graph: Path) -> None:
    shapes = json.loads((graph / "agreement.json").read_text())["shapes"]
    assert set(shapes) == {"landscape", "portrait"}
    for found in shapes.values():
        assert found["n_detections"] > 0
        assert found["max_box_difference_px"] < 0.05
        assert found["max_score_difference"] < 0.0005


def test_onnx_and_torchscript_agree_with_torch_in_every_shape(graph: Path) -> None:
    formats = json.loads((graph / "agreement.json").read_text())["formats"]
    assert set(formats) == {"model.onnx", "model.torchscript"}
    for by_shape in formats.values():
        assert set(by_shape) == {"square", "landscape", "portrait"}
        for found in by_shape.values():
            assert found["n_detections"] > 0
            assert found["max_box_difference_px"] < 0.05


def test_onnx_takes_and_names_what_the_openvino_graph_does(graph: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph / "model.onnx"), providers=["CPUExecutionProvider"])
    compiled = load_openvino().Core().read_model(graph / "model.xml")
    assert [(put.name, put.type) for put in session.get_inputs()] == [("images", "tensor(uint8)")]
    assert {name for port in compiled.outputs for name in port.get_names()} == {o.name for o in session.get_outputs()}
    # Several images at once, which OpenVINO's one-image graph leaves to its queue.
    several = session.run(["embedding"], {"images": np.zeros((3, 96, 128, 3), dtype=np.uint8)})
    assert several[0].shape == (3, 448)


def test_int8_that_holds_is_released_with_what_was_measured(site: Site, int8: Path) -> None:
    report = choose(with_precisions("int8"), site, int8)
    f32, lower = report["candidates"]
    assert (f32["precision"], lower["precision"]) == ("f32", "int8")
    assert lower["holds"]
    # On the machine that tests it int8 may save nothing: which one is cheapest is no rule of ours.
    assert report["chosen"] in ("f32", "int8")
    assert is_quantized(site.export) is (report["chosen"] == "int8")
    assert {"recall", "mAP50"} <= set(lower["differences"])
    assert 0.0 < f32["map50"] <= 1.0
    assert (f32["n_images"], lower["n_images"]) == (12, 12)
    assert min(one[ms] for one in (f32, lower) for ms in ("ms_per_image", "cpu_ms_per_image")) > 0.0
    assert report["measured_on"]["cores"] >= 1
    # The calibration was fitted to f32: what it is worth on the scores of each is told.
    assert f32["none"]["largest_change"] == 0.0
    assert 0.0 < lower["none"]["largest_change"] < 0.2


def test_a_precision_that_does_not_hold_is_not_released(site: Site, int8: Path) -> None:
    report = choose(with_precisions("int8", map50_difference_above=0.5), site, int8)
    assert report["chosen"] == "f32"
    assert report["reason"].startswith("int8 is not released: mAP50: difference from f32")
    assert not is_quantized(site.export)


def test_a_release_whose_other_shapes_hold_can_be_reshaped(site: Site, int8: Path) -> None:
    shapes = choose(with_precisions(shapes=tuple(InputShape)), site, int8)["shapes"]
    assert shapes["released"] == ["square", "landscape", "portrait"]
    # All val photos are of 4:3, so that all of them are looked at through both shapes.
    assert shapes["n_images"] == 12
    assert is_dynamic(site.export)


def test_a_release_whose_other_shapes_do_not_hold_is_for_squares_alone(site: Site, int8: Path) -> None:
    report = choose(with_precisions(map50_difference_above=0.5, shapes=tuple(InputShape)), site, int8)
    assert report["shapes"]["released"] == ["square"]
    assert "difference from the square" in report["shapes"]["reason"]
    assert not is_dynamic(site.export)
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    assert _raw_output(site.export, "f32", image).output0.shape[1] == (16**2 + 8**2 + 4**2)


def test_without_a_wish_nothing_is_measured(site: Site, int8: Path) -> None:
    report = choose(with_precisions(), site, int8)
    assert (report["chosen"], report["candidates"][0]["ms_per_image"]) == ("f32", None)


def test_int8_says_nearly_what_f32_says_in_every_output(
    graph: Path, int8: Path, labeled: list[tuple[bytes, SnapshotEntry]]
) -> None:
    image = _pixels(labeled[-1][0])
    f32, lower = (_raw_output(folder, precision, image) for folder, precision in ((graph, "f32"), (int8, "int8")))
    lengths = np.linalg.norm(f32.embedding) * np.linalg.norm(lower.embedding)
    assert 0.9 < float(f32.embedding @ lower.embedding) / lengths < 1.0
    assert f32.output0.shape == lower.output0.shape
    assert f32.dfl_entropy is not None
    assert lower.dfl_entropy is not None
    assert np.abs(f32.dfl_entropy - lower.dfl_entropy).mean() < 0.1


def _raw_output(folder: Path, precision: str, image: RgbImage) -> RawOutput:
    manifest = ReleaseManifest(1, LABELS, SIZE, precision, {}, {}, None, {})
    rules = DetectionRules(0.05, 0.6, 100)
    return OpenVinoDetector(folder, manifest, rules, n_threads=1, shapes=tuple(InputShape)).forward(image)[0]


def test_what_decides_boxes_is_not_quantized(int8: Path) -> None:
    model = load_openvino().Core().read_model(int8 / "model.xml")
    waiting, kinds = [model.output("output0").get_node()], dict[str, str]()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        is_last_layer = ".23.cv" in name and name.endswith("/Convolution")
        if name not in kinds and not is_last_layer and node.get_type_name() != "ShapeOf":
            kinds[name] = node.get_type_name()
            waiting += [node.input_value(place).get_node() for place in range(node.get_input_size())]
    assert {"Softmax", "Sigmoid"} <= set(kinds.values())
    assert "FakeQuantize" not in kinds.values()


def test_quantizing_calls_nobody(int8: Path) -> None:
    assert is_quantized(int8)
    assert sys.modules.get("openvino_telemetry") is None


def test_a_graph_without_a_head_is_refused(tmp_path: Path) -> None:
    ov = load_openvino()
    parameter = ov.opset13.parameter([1, 32, 32, 3], ov.Type.f32, name="images")
    ov.save_model(ov.Model([ov.opset13.relu(parameter)], [parameter]), tmp_path / "model.xml")
    with pytest.raises(DamageloopError, match="no head"):
        quantize(tmp_path / "model.xml", tmp_path / "int8.xml", [])
