"""One contract for every engine that serves: the same photo gets the same answer, whichever of them runs the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from damageloop.adapters.engines.onnx_runtime import OnnxRuntimeDetector
from damageloop.adapters.engines.openvino import LATENCY, THROUGHPUT, OpenVinoDetector, load_openvino
from damageloop.adapters.engines.openvino_graph import serving_graph
from damageloop.adapters.engines.torchscript import TorchScriptDetector
from damageloop.adapters.engines.yolo import DetectionRules
from damageloop.bootstrap.detectors import make_detector
from damageloop.domain.prediction import DetectorAnswer
from damageloop.domain.release import InputShape, ReleaseManifest
from damageloop.errors import ConflictError
from damageloop.ports import Detector, RgbImage
from damageloop.settings import Settings
from tests.fakes.photos import make_params
from tests.integration.random_network import save_random_network
from workers.stages.agreement import agreement
from workers.stages.graph_formats import ONNX_FILE, TORCHSCRIPT_FILE, export_formats
from workers.stages.openvino_export import export_openvino

SIZE = 128
LABELS = ("scratch", "dent")
RULES = DetectionRules(confidence_floor=0.3, nms_iou=0.6, max_detections=50)
MANIFEST = ReleaseManifest(1, LABELS, SIZE, "f32", {}, {}, None, {})
ALL_SHAPES = tuple(InputShape)
# Pixels of the input, shares of 1, and shares of the largest feature.
BOX_PX, SCORE, FEATURE = 0.1, 0.0005, 0.001
# Photos of each shape, one of them large and one smaller than the input.
SIZES_WH = [(128, 128), (200, 150), (90, 160), (1000, 750), (47, 33), (130, 120)]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Make = Callable[..., Any]
ENGINES: dict[str, Make] = {
    "openvino": OpenVinoDetector,
    "onnxruntime": OnnxRuntimeDetector,
    "torch": TorchScriptDetector,
}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release with a file for each engine."""
    folder = tmp_path_factory.mktemp("release")
    save_random_network(folder / "weights.pt", LABELS, SIZE)
    export_openvino(folder / "weights.pt", SIZE, folder)
    export_formats(folder / "weights.pt", SIZE, folder, [ONNX_FILE, TORCHSCRIPT_FILE])
    return folder


@pytest.fixture(scope="module")
def detectors(release: Path) -> dict[str, Any]:
    return {name: make(release, MANIFEST, RULES, shapes=ALL_SHAPES) for name, make in ENGINES.items()}


@pytest.fixture(params=list(ENGINES))
def detector(request: pytest.FixtureRequest, detectors: dict[str, Any]) -> Any:
    return detectors[request.param]


def noise(size_wh: tuple[int, int], seed: int = 0) -> RgbImage:
    """Return noise with texture at two scales."""
    rng, (width, height) = np.random.default_rng(seed), size_wh
    coarse = rng.integers(0, 128, (height // 8 + 1, width // 8 + 1, 3)).repeat(8, axis=0).repeat(8, axis=1)
    return (coarse[:height, :width] + rng.integers(0, 128, (height, width, 3))).astype(np.uint8)


def unmatched(answer: DetectorAnswer, other: DetectorAnswer) -> int:
    """Return how many detections of the first the second lacks, within the tolerances of this module."""
    assert answer.box_features is not None
    assert other.box_features is not None
    found = 0
    for number, one in enumerate(answer.detections):
        same = [
            abs(one.confidence - two.confidence) < SCORE
            and np.abs(np.subtract(one.box.as_tuple(), two.box.as_tuple())).max() < BOX_PX
            and one.damage_class == two.damage_class
            and abs((one.localization_entropy or 0.0) - (two.localization_entropy or 0.0)) < SCORE
            and np.abs(answer.box_features[number] - other.box_features[place]).max() < FEATURE
            for place, two in enumerate(other.detections)
        ]
        found += not any(same)
    return found


@pytest.mark.parametrize("size_wh", SIZES_WH)
@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_every_engine_says_what_openvino_says(detectors: dict[str, Any], engine: str, size_wh: tuple[int, int]) -> None:
    images = [noise(size_wh, seed) for seed in range(2)]
    found = agreement(detectors["openvino"], detectors[engine], images, LABELS)
    assert found.n_detections > 10
    # A random network puts hundreds of nearly equal boxes over one another: rounding decides some of the ties.
    assert found.n_unmatched <= 0.4 * found.n_detections
    assert found.max_box_difference_px < BOX_PX * max(size_wh) / SIZE
    assert found.max_score_difference < SCORE
    assert found.max_entropy_difference < SCORE
    assert found.max_embedding_difference < FEATURE
    assert found.max_box_feature_difference < FEATURE


def test_a_reduced_copy_is_told_in_pixels_of_the_photo(detector: Detector) -> None:
    image = noise((120, 90))
    small, large = detector.detect(image), detector.detect(image, (1200, 900))
    for one, two in zip(small.detections, large.detections, strict=True):
        assert np.array(two.box.as_tuple()) == pytest.approx(10.0 * np.array(one.box.as_tuple()))
        assert one.class_scores == two.class_scores
    assert np.array_equal(small.embedding, large.embedding)


def test_the_photo_s_own_size_decides_the_shape_and_not_the_copy_s(release: Path) -> None:
    # 97 x 72 alone would still be landscape; 1000 x 900 is not, whatever its copy looks like.
    detector = OpenVinoDetector(release, MANIFEST, RULES, n_threads=1, shapes=ALL_SHAPES)
    detector.detect(noise((97, 72)), (1000, 900))
    assert detector.shapes_in_use == (InputShape.SQUARE,)
    detector.detect(noise((97, 72)), (1280, 960))
    assert list(detector.shapes_in_use) == [InputShape.SQUARE, InputShape.LANDSCAPE]


def test_threads_with_photos_of_all_shapes_get_what_each_got_alone(detector: Detector) -> None:
    images = [noise(size_wh, seed) for seed, size_wh in enumerate(SIZES_WH)]
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.detect, images * 3))
    for expected, answer in zip(alone * 3, together, strict=True):
        # One thread and two add up in another order, which decides some of the ties.
        assert unmatched(expected, answer) <= 0.25 * len(expected.detections)
        assert np.allclose(answer.embedding, expected.embedding, atol=FEATURE)


def test_a_photo_leaves_nothing_behind_for_the_next_one(detector: Detector) -> None:
    # The input is drawn over: margins of the wide one must be gray again, and its rows must be gone.
    wide, narrow = noise((128, 60)), noise((60, 128), 1)
    first = [detector.detect(wide), detector.detect(narrow)]
    again = [detector.detect(wide), detector.detect(narrow)]
    for one, two in zip(first, again, strict=True):
        assert one.detections == two.detections
        assert np.array_equal(one.embedding, two.embedding)


def test_an_answer_is_its_caller_s_own(detector: Detector) -> None:
    first = detector.detect(noise((128, 128)))
    kept = first.embedding.copy(), np.array(first.box_features)
    detector.detect(noise((128, 128), 1))
    assert np.array_equal(first.embedding, kept[0])
    assert np.array_equal(np.asarray(first.box_features), kept[1])


def test_forward_gives_the_anchors_that_the_answer_was_made_of(detector: Any) -> None:
    image = noise((200, 150))
    raw, frame = detector.forward(image)
    assert raw.output0.shape == (6, 252)  # 96 x 128 pixels: 192 + 48 + 12 anchors
    assert raw.dfl_entropy.shape == (252,)
    assert raw.anchor_features.shape == (64, 252)
    assert frame.pixels.shape == (96, 128, 3)
    answer = detector.detect(image)
    assert answer.top_score == pytest.approx(float(raw.output0[4:].max()), abs=SCORE)
    anchor = int(raw.output0[4:].max(axis=0).argmax())
    assert answer.detections[0].localization_entropy == pytest.approx(float(raw.dfl_entropy[anchor]), abs=SCORE)
    features = raw.anchor_features[:, anchor]
    assert np.asarray(answer.box_features)[0] == pytest.approx(features / np.linalg.norm(features), abs=FEATURE)


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_are_made_ready_when_they_are_asked_for_or_first_needed(release: Path, engine: str) -> None:
    cold = ENGINES[engine](release, MANIFEST, RULES, shapes=ALL_SHAPES)
    assert cold.shapes_in_use == (InputShape.SQUARE,)
    cold.detect(noise((90, 160)))
    assert cold.shapes_in_use == (InputShape.SQUARE, InputShape.PORTRAIT)
    warm = ENGINES[engine](release, MANIFEST, RULES, shapes=ALL_SHAPES, warm_shapes=cold.shapes_in_use)
    assert warm.shapes_in_use == cold.shapes_in_use
    square = ENGINES[engine](release, MANIFEST, RULES)
    square.detect(noise((90, 160)))
    assert square.shapes_in_use == (InputShape.SQUARE,)


def test_a_graph_of_a_fixed_size_sees_all_photos_through_its_square(release: Path, tmp_path: Path) -> None:
    ov = load_openvino()
    model = ov.Core().read_model(release / "model.xml")
    model.reshape([1, SIZE, SIZE, 3])
    ov.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    fixed = OpenVinoDetector(tmp_path, MANIFEST, RULES, n_threads=1, shapes=ALL_SHAPES, warm_shapes=ALL_SHAPES)
    square = OpenVinoDetector(release, MANIFEST, RULES, n_threads=1)
    image = noise((200, 150))
    assert fixed.detect(image).detections == square.detect(image).detections
    assert fixed.shapes_in_use == (InputShape.SQUARE,)


def test_the_graph_that_serves_gives_maps_in_place_of_what_nobody_reads_whole(release: Path) -> None:
    model = load_openvino().Core().read_model(release / "model.xml")
    names = {name for port in serving_graph(model, (96, 128)).outputs for name in port.get_names()}
    assert names == {
        "output0",
        "confidence",
        "embedding",
        *(f"{output}.level{number}" for output in ("anchor_features", "dfl_entropy") for number in range(3)),
    }


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_openvino_is_told_what_to_compute_in(release: Path, precision: str) -> None:
    # What an int8 graph leaves in floats is computed in f32.
    detector = OpenVinoDetector(release, MANIFEST, RULES, precision, n_threads=1)
    compiled = detector._source.compiled((SIZE, SIZE), "LATENCY")
    told = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    assert told == ("bf16" if precision == "bf16" else "f32")


@pytest.mark.parametrize("shape", InputShape)
def test_a_photo_gets_the_same_answer_alone_and_in_a_crowd(release: Path, shape: InputShape) -> None:
    detector = OpenVinoDetector(release, MANIFEST, RULES, n_threads=2, shapes=ALL_SHAPES)
    image = noise((200, 150))
    said = []
    for load in (LATENCY, THROUGHPUT):
        with detector._pool(shape, load).lease() as request:
            request.run(image)
            said.append(request.copied())
    alone, in_a_crowd = said
    # Bit for bit where it was tried; another CPU may add up in another order.
    assert np.abs(alone.output0[:4] - in_a_crowd.output0[:4]).max() < BOX_PX
    assert np.abs(alone.output0[4:] - in_a_crowd.output0[4:]).max() < SCORE
    assert np.allclose(alone.embedding, in_a_crowd.embedding, atol=FEATURE)


def test_many_starts_with_photos_from_the_first_moment_do_not_hang(release: Path) -> None:
    # One start in about thirty once hung, when two threads first used their infer requests at once.
    image = noise((128, 96))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(6):
            detector = OpenVinoDetector(release, MANIFEST, RULES, n_threads=2)
            futures = [pool.submit(detector.detect, image) for _ in range(8)]
            assert len({future.result(timeout=60).top_score > 0 for future in futures}) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_setting_chooses_the_engine(release: Path, engine: str) -> None:
    detector = make_detector(Settings(engine=engine), make_params(), release, MANIFEST)
    assert type(detector) is ENGINES[engine]
    assert detector.n_parallel >= 1


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_keeps_to_the_shapes_that_held_for_the_release(release: Path, engine: str) -> None:
    # The first was never judged; the graph itself would take any shape.
    judged = replace(MANIFEST, card={"precision": {"shapes": {"released": ["square", "landscape"]}}})
    for manifest, in_use in ((MANIFEST, ALL_SHAPES[:1]), (judged, ALL_SHAPES[:2])):
        detector = make_detector(Settings(engine=engine), make_params(), release, manifest)
        for size_wh in ((160, 90), (90, 160)):
            detector.detect(noise(size_wh))
        assert detector.shapes_in_use == in_use


@pytest.mark.parametrize(
    ("engine", "needed", "option"),
    [("onnxruntime", ONNX_FILE, "onnx"), ("torch", TORCHSCRIPT_FILE, "torchscript")],
)
def test_a_release_without_the_engine_s_file_says_how_to_get_one(
    release: Path, tmp_path: Path, engine: str, needed: str, option: str
) -> None:
    for name in ("model.xml", "model.bin"):
        shutil.copyfile(release / name, tmp_path / name)
    with pytest.raises(ConflictError, match=rf"has no {needed}.*export\.{option}: true") as caught:
        make_detector(Settings(engine=engine), make_params(), tmp_path, MANIFEST)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, engine: str) -> None:
    for name in ("model.xml", ONNX_FILE, TORCHSCRIPT_FILE):
        (tmp_path / name).write_bytes(b"no model at all")
    with pytest.raises(ConflictError, match="is no model that"):
        ENGINES[engine](tmp_path, MANIFEST, RULES)


@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_engines_that_compute_in_f32_say_so(release: Path, engine: str) -> None:
    detector = ENGINES[engine](release, replace(MANIFEST, precision="int8"), RULES)
    assert detector.manifest.precision == "f32"
