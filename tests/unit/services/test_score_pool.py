"""Scoring: what belongs to one image is skipped, what belongs to the store stops the job, and what is kept of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from active_learning import registry
from active_learning.needs import Need
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.prediction import Detection, DetectorAnswer, Prediction
from damageloop.domain.release import ReleaseManifest
from damageloop.domain.split import Split
from damageloop.errors import CancelledError, DamageloopError, NotFoundError, UnavailableError
from damageloop.ports import Photo, RgbImage
from damageloop.services.images.score_pool import ScorePool, compares_views
from damageloop.services.images.shards import in_shards
from tests.fakes.clock import FakeClock
from tests.fakes.detector import make_manifest
from tests.fakes.features import FakeFeatureStore
from tests.fakes.photos import make_image, make_params

_counting = threading.Lock()
ONE_VIEW, BOTH_VIEWS = make_params(strategy={"name": "entropy"}), make_params(strategy={"name": "flip_consistency"})


class BrokenStore:
    """An image store that gives nothing."""

    def __init__(self, error: DamageloopError) -> None:
        self._error = error

    def photo(self, store_key: str, side_px: int) -> Any:
        raise self._error


class Photos:
    """An image store whose images are 100 x 80, dark but for a bright left edge."""

    def __init__(self, missing: Sequence[Image] = (), unavailable_from: int | None = None) -> None:
        self._missing = {image.store_key for image in missing}
        self._unavailable = make_image(unavailable_from).store_key if unavailable_from else None

    def photo(self, store_key: str, side_px: int) -> Photo:
        if store_key == self._unavailable:
            raise UnavailableError("The image store did not answer.")
        if store_key in self._missing:
            raise NotFoundError("gone")
        pixels = np.zeros((80, 100, 3), dtype=np.uint8)
        pixels[:, :10] = 255
        return Photo(pixels, (100, 80))


@dataclass
class EdgeDetector:
    """Finds one box at the bright edge, on whichever side it is."""

    box_features: bool = True
    n_calls: int = 0
    n_parallel: int = 1
    manifest: ReleaseManifest = field(default_factory=make_manifest)

    def detect(self, image: RgbImage, size_wh: tuple[int, int] | None = None) -> DetectorAnswer:
        assert image.flags["C_CONTIGUOUS"]
        with _counting:
            self.n_calls += 1
        box = Box(0, 20, 10, 60) if image[0, 0, 0] else Box(90, 20, 100, 60)
        features = np.array([[0.6, 0.8]], dtype=np.float32) if self.box_features else None
        return DetectorAnswer((Detection("dent", 0.8, box),), np.array([1, 2, 3], dtype=np.float32), 0.8, features)


@dataclass
class Memory:
    """Images and predictions of one version, as their repositories keep them."""

    pool: list[Image]
    rows: dict[int, Prediction] = field(default_factory=dict)

    def unscored(self, version: int, limit: int | None = None) -> list[Image]:
        return [i for i in self.pool if i.id not in self.rows and i.status is ImageStatus.ACTIVE]

    def get_many(self, image_ids: Sequence[int]) -> list[Image]:
        return [image for image in self.pool if image.id in image_ids]

    def unmirrored(self, version: int) -> list[int]:
        train = [image.id for image in self.pool if image.split is Split.TRAIN]
        return [i for i in train if i in self.rows and self.rows[i].mirrored is None]

    def add_many(self, predictions: Sequence[Prediction], now: datetime) -> None:
        self.rows |= {p.image_id: p for p in predictions}

    def add_mirrored(self, version: int, detections: Mapping[int, Sequence[Detection]]) -> None:
        for image_id, found in detections.items():
            self.rows[image_id] = replace(self.rows[image_id], mirrored=tuple(found))


@dataclass
class TickingClock:
    """A clock that goes on by some seconds with every question."""

    inner: FakeClock
    seconds: float

    def now(self) -> datetime:
        self.inner.advance(seconds=self.seconds)
        return self.inner.now()


@dataclass
class World:
    pool: list[Image]
    missing: Sequence[Image] = ()
    detector: EdgeDetector = field(default_factory=EdgeDetector)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)
    messages: list[str] = field(default_factory=list)
    unavailable_from: int | None = None
    seconds_a_question: float = 0.0

    def __post_init__(self) -> None:
        self.memory = Memory(self.pool)

    def score(self, params: Any, progress: Callable[[float, str], None] | None = None) -> dict[str, Any]:
        units: Any = Units(self.memory)
        store: Any = Photos(self.missing, self.unavailable_from)
        detector: Any = self.detector
        clock = FakeClock()
        scoring = ScorePool(units, store, self.features, lambda version: detector, clock, params)

        def note(share: float, message: str) -> None:
            self.messages.append(message)

        def tell(share: float, message: str) -> None:
            (progress or note)(share, message)

        ticking: Any = clock if not self.seconds_a_question else TickingClock(clock, self.seconds_a_question)
        scoring = replace(scoring, clock=ticking)
        context: Any = SimpleNamespace(progress=tell)
        return scoring({"model_version": "7"}, context)


@dataclass
class Units:
    memory: Memory

    def __call__(self, read_only: bool = False) -> Any:
        return self

    def __enter__(self) -> Any:
        return SimpleNamespace(images=self.memory, predictions=self.memory, commit=lambda: None)

    def __exit__(self, *_: object) -> None:
        pass


def scoring(error: DamageloopError) -> ScorePool:
    unused: Any = None
    store: Any = BrokenStore(error)
    detector: Any = SimpleNamespace(detect=None, n_parallel=1, manifest=make_manifest())
    return ScorePool(unused, store, unused, lambda version: detector, FakeClock(), ONE_VIEW)


def test_an_image_whose_bytes_are_gone_costs_no_other_its_score() -> None:
    assert scoring(NotFoundError("gone")).score(1, [make_image(1)], lambda share, message: None) == (0, 1)


def test_a_store_that_does_not_answer_is_no_failure_of_the_images() -> None:
    with pytest.raises(UnavailableError):
        scoring(UnavailableError("The image store did not answer.")).score(
            1, [make_image(1)], lambda share, message: None
        )


def test_embeddings_quality_and_box_features_stand_under_the_version_before_its_predictions() -> None:
    world = World([make_image(1), make_image(2)], missing=[make_image(2)])
    assert world.score(ONE_VIEW) == {"model_version": 7, "scored": 1, "failed": 1}
    assert world.features.read("7", [1]).tolist() == [[1, 2, 3]]
    assert world.features.read_quality("7", [1]).tolist() == [[120, 40, 80]]
    assert world.features.read_boxes("7", [1]).features == pytest.approx(np.array([[0.6, 0.8]]), rel=1e-3)
    assert world.memory.rows[1].mirrored is None
    assert world.detector.n_calls == 1


def test_a_release_without_box_features_leaves_none() -> None:
    world = World([make_image(1)], detector=EdgeDetector(box_features=False))
    world.score(ONE_VIEW)
    assert world.features.known_ids("7").tolist() == [1]
    assert world.features.known_box_ids("7").tolist() == []


def test_where_the_strategy_compares_views_a_train_image_is_seen_mirrored_too() -> None:
    world = World([make_image(1), make_image(2, Split.TEST)])
    world.score(BOTH_VIEWS)
    # The edge is right in the mirrored image, and mirrored back it is left again.
    assert [d.box for d in world.memory.rows[1].mirrored or ()] == [Box(0, 20, 10, 60)]
    assert world.memory.rows[2].mirrored is None
    assert world.detector.n_calls == 3


def test_what_was_seen_in_one_view_gets_the_other_when_the_strategy_changes() -> None:
    world = World([make_image(1), make_image(2), make_image(3, Split.VAL)])
    world.score(ONE_VIEW)
    before = dict(world.memory.rows)
    world.pool.append(make_image(4))
    world.missing = [make_image(2)]
    assert world.score(BOTH_VIEWS) == {"model_version": 7, "scored": 1, "failed": 1, "mirrored": 1}
    assert world.memory.rows[1] == replace(before[1], mirrored=before[1].detections)
    assert world.memory.rows[2].mirrored is None
    assert world.detector.n_calls == 3 + 2 + 1
    assert world.messages[-1] == "1 of 2 images mirrored"
    assert world.score(ONE_VIEW) == {"model_version": 7, "scored": 0, "failed": 0}


def test_views_are_compared_by_the_strategies_that_need_it_and_no_name_stops_scoring() -> None:
    assert compares_views(BOTH_VIEWS)
    assert not compares_views(ONE_VIEW)
    assert not compares_views(make_params(strategy={"name": "no such strategy"}))
    assert Need.MIRRORED in registry.needs("flip_consistency")


def pool_of(n_images: int) -> list[Image]:
    return [make_image(number) for number in range(1, n_images + 1)]


def small_shards(size: int) -> Any:
    return make_params(strategy={"name": "entropy"}, score={"shard_size": size})


@pytest.mark.parametrize("n_parallel", [1, 2, 5])
def test_threads_change_neither_rows_nor_their_order(n_parallel: int) -> None:
    world = World(pool_of(11), detector=EdgeDetector(n_parallel=n_parallel))
    assert world.score(small_shards(3)) == {"model_version": 7, "scored": 11, "failed": 0}
    assert list(world.memory.rows) == list(range(1, 12))
    assert world.features.known_ids("7").tolist() == list(range(1, 12))
    assert [message.split(",")[0] for message in world.messages] == [f"{n} of 11 images scored" for n in (3, 6, 9, 11)]


def test_a_bad_image_in_the_middle_of_a_shard_costs_no_other_its_place() -> None:
    world = World(pool_of(6), missing=[make_image(2), make_image(5)], detector=EdgeDetector(n_parallel=2))
    assert world.score(small_shards(3)) == {"model_version": 7, "scored": 4, "failed": 2}
    assert list(world.memory.rows) == [1, 3, 4, 6]


def test_a_shard_of_bad_images_is_not_stored() -> None:
    world = World(pool_of(4), missing=[make_image(1), make_image(2)])
    assert world.score(small_shards(2)) == {"model_version": 7, "scored": 2, "failed": 2}
    assert list(world.memory.rows) == [3, 4]


def test_who_cancels_keeps_what_is_stored_and_the_next_start_does_the_rest_once() -> None:
    world = World(pool_of(20), detector=EdgeDetector(n_parallel=2))

    def cancel_after_the_second_shard(share: float, message: str) -> None:
        world.messages.append(message)
        if len(world.messages) == 2:
            raise CancelledError("A person asked for it.")

    with pytest.raises(CancelledError):
        world.score(small_shards(4), cancel_after_the_second_shard)
    assert list(world.memory.rows) == list(range(1, 9))
    assert world.score(small_shards(4))["scored"] == 12
    assert list(world.memory.rows) == list(range(1, 21))


def test_a_store_that_breaks_between_shards_leaves_whole_shards_alone() -> None:
    world = World(pool_of(9), detector=EdgeDetector(n_parallel=2))
    world.unavailable_from = 7
    with pytest.raises(UnavailableError):
        world.score(small_shards(3))
    assert list(world.memory.rows) == list(range(1, 7))
    world.unavailable_from = None
    world.score(small_shards(3))
    assert list(world.memory.rows) == list(range(1, 10))


def test_what_storing_raises_ends_the_job_and_the_rows_before_it_stay() -> None:
    kept: list[list[int]] = []

    def keep(shard: Mapping[int, int]) -> None:
        if 5 in shard:
            raise UnavailableError("The database did not answer.")
        kept.append(list(shard))

    with pytest.raises(UnavailableError):
        list(in_shards(range(1, 20), 3, 2, lambda number: number, keep))
    assert kept == [[1, 2, 3]]


def test_no_more_than_two_shards_wait_to_be_stored() -> None:
    begun = 0
    held = []

    def see(number: int) -> int:
        nonlocal begun
        begun += 1
        return number

    shards = in_shards(range(100), 5, 1, see, lambda shard: None)
    for n_kept, _ in enumerate(shards, start=1):
        held.append(begun - 5 * n_kept)
    assert max(held) == 2 * 5


def test_the_pace_is_told_with_what_is_left() -> None:
    world = World(pool_of(6))
    # Asked at the start, when a shard is stored, and when it is told.
    world.seconds_a_question = 5.0
    world.score(small_shards(2))
    assert world.messages == [
        "2 of 6 images scored, 0.2 a second, 20 s left",
        "4 of 6 images scored, 0.2 a second, 10 s left",
        "6 of 6 images scored",
    ]
