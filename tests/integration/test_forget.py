"""Forgetting images: nothing of them is left, and nothing else is lost."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from damageloop.adapters.features.store import ParquetFeatureStore
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.maps import FileMapStore
from damageloop.adapters.run_folder import forget_image
from damageloop.domain.annotation import SOURCE
from damageloop.domain.image import FORGOTTEN_NAME, Image, ImageStatus, Origin
from damageloop.domain.image_request import RequestKind, RequestOrigin
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import ItemState
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.services.images.forget import TRY_AGAIN_AFTER, Forget, ForgetEverywhere, is_forget_due
from damageloop.services.images.ingest_images import IngestImages
from damageloop.services.integrity.invariants.forgotten import are_gone, are_recorded
from damageloop.services.integrity.invariants.images import groups_in_one_split
from damageloop.services.integrity.invariants.reviews import agree_with_tool
from damageloop.services.reviews.receive_reviews import ReceiveReviews
from damageloop.services.snapshots.snapshot_content import labeled_entries
from tests.factories import make_detection
from tests.fakes.job_context import NoContext
from tests.fakes.photos import make_params
from tests.integration.review_world import DENT, World, review_world

PARAMS = make_params()
LIMITS = ImageLimits(2**22, 2**22, 8)
REASON = "the owner asked for it"
NEWEST = 40
ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)


@dataclass
class Platform:
    world: World
    folder: Path
    store: FsspecImageStore = field(init=False)
    features: ParquetFeatureStore = field(init=False)
    maps: FileMapStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = FsspecImageStore(self.folder / "images", LIMITS)
        self.features = ParquetFeatureStore(self.folder / "features")
        self.maps = FileMapStore(self.folder / "cache")

    @property
    def forget(self) -> Forget:
        return Forget(self.world.units, self.world.clock)

    def everywhere(self) -> ForgetEverywhere:
        copies = partial(forget_image, [self.folder / "runs", self.folder / "folds"])
        world = self.world
        return ForgetEverywhere(
            world.units, self.store, self.features, self.maps, lambda: world.tool, copies, world.clock
        )

    def run(self) -> dict[str, object]:
        return self.everywhere()({}, NoContext())

    def image(self, image_id: int) -> Image:
        with self.world.units(read_only=True) as work:
            return work.images.get(image_id)

    def violations(self) -> list[str]:
        with self.world.units(read_only=True) as work:
            left = are_gone(work, self.store, self.features, self.world.tool)
            return [*left, *are_recorded(work), *agree_with_tool(work, self.world.tool), *groups_in_one_split(work)]

    def place(self, image_id: int) -> Path:
        """Put bytes where those of the image lie."""
        path = self.folder / "images" / self.image(image_id).store_key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bytes")
        return path


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with review_world(tmp_path) as world:
        yield Platform(world, tmp_path)


@dataclass
class Files:
    """Where the bytes of images 5 and 6 are, and a training's copy of the first."""

    forgotten: Path
    kept: Path
    copy: Path


def fill(platform: Platform) -> Files:
    """Put images 5 and 6 into every place outside the database."""
    world = platform.world
    world.open_round()
    for image_id in (5, 6):
        world.tool.submit(world.tasks[image_id], [DENT])
    world.receive()
    forgotten, kept = platform.place(5), platform.place(6)
    copy = platform.folder / "runs" / "run-1" / "build" / "dataset" / "images" / "train" / forgotten.name
    copy.parent.mkdir(parents=True)
    copy.hardlink_to(forgotten)
    platform.features.append("7", [5, 6], ROWS)
    platform.features.append_boxes("7", [5, 6], [1, 1], ROWS)
    platform.features.append_crops("7", ["5:ab:0", "6:ab:0"], ROWS)
    platform.maps.write("a", {5: (0.0, 0.0)})
    platform.maps.write("b", {6: (0.0, 0.0)})
    return Files(forgotten, kept, copy)


def test_nothing_is_left_of_a_forgotten_image_in_any_place(platform: Platform) -> None:
    files = fill(platform)
    platform.forget(REASON, "admin", [5])
    assert platform.run() == {"forgotten": 1, "left": {}}
    assert platform.violations() == []
    assert [path.exists() for path in (files.forgotten, files.kept, files.copy)] == [False, True, False]
    assert platform.store.redacted() == {f"{5:064x}"}
    assert platform.features.read("7", [6]).tolist() == ROWS[1:].tolist()
    assert platform.features.read_boxes("7", [6]).features.tolist() == ROWS[1:].tolist()
    assert platform.features.known_crops("7") == ["6:ab:0"]
    assert (platform.maps.read("a"), platform.maps.read("b")) == (None, {6: (0.0, 0.0)})
    with platform.world.units(read_only=True) as work:
        (redaction,) = work.redactions.all()
    places = {"image store", "features", "embedding maps", "training folders", "annotation tool"}
    assert set(redaction.done) == places


def test_the_database_keeps_a_number_and_a_record_and_nothing_that_was_shown(platform: Platform) -> None:
    fill(platform)
    now = platform.world.clock.now()
    with platform.world.units() as work:
        version = work.models.allot("a", None, now)
        work.predictions.add_many([Prediction(i, version, (make_detection(),), 0.9) for i in (5, 6)], now)
        work.image_requests.add(5, RequestKind.SEND_BACK, RequestOrigin.PERSON, "a plate is seen", "ann", now)
        work.subsets.add("some", "", (5, 6), "ann", now)
        source = work.images.get(5).stored.source_sha256
        work.evidence.add("answer-5", version, {"image_sha256": [source]}, now)
        work.evidence.add("answer-6", version, {"image_sha256": ["ab" * 32]}, now)
        work.commit()
    platform.forget(REASON, "admin", [5])
    image = platform.image(5)
    assert (image.status, image.file_name, image.vehicle) == (ImageStatus.FORGOTTEN, FORGOTTEN_NAME, "forgotten-5")
    with platform.world.units(read_only=True) as work:
        assert list(work.predictions.of_version(version)) == [6]
        assert [e.sha256 for e in labeled_entries(work, PARAMS)] == [f"{6:064x}"]
        assert work.image_requests.active() == []
        assert [s.image_ids for s in work.subsets.all()] == [(6,)]
        assert next(i.state for i in work.rounds.items(1) if i.image_id == 5) is ItemState.WITHDRAWN
        assert work.evidence.get("answer-6")
        with pytest.raises(NotFoundError):
            work.evidence.get("answer-5")
        assert [(r.reason, r.asked_by) for r in work.redactions.all()] == [(REASON, "admin")]
        assert [(e.action, e.subject) for e in work.audit.all()] == [("forget", "image 5")]


def test_asking_twice_and_running_twice_changes_nothing(platform: Platform) -> None:
    first = platform.forget(REASON, "admin", [5])
    platform.run()
    again = platform.forget("another reason", "admin", [5])
    assert [r.id for r in again] == [r.id for r in first]
    assert again[0].reason == REASON
    assert platform.run() == {"forgotten": 0, "left": {}}


def test_a_tool_that_is_down_delays_its_own_place_alone(platform: Platform) -> None:
    path = platform.place(5)
    platform.world.tool.is_down = True
    platform.forget(REASON, "admin", [5])
    assert platform.run() == {"forgotten": 0, "left": {"annotation tool": 1}}
    assert not path.exists()
    platform.world.tool.is_down = False
    assert platform.run() == {"forgotten": 1, "left": {}}
    assert platform.violations() == []


def test_copies_wait_for_the_training_that_reads_them(platform: Platform) -> None:
    world = platform.world
    with world.units() as work:
        job = work.jobs.request(JobRequest(JobKind.TRAIN_CHALLENGER, "train:1"), world.clock.now(), None)
        work.commit()
    platform.forget(REASON, "admin", [5])
    assert platform.run()["left"] == {"training folders": 1}
    with world.units() as work:
        work.jobs.ask_to_cancel(job.id, world.clock.now())
        work.commit()
    assert platform.run()["left"] == {}


def test_a_scoring_that_began_before_is_waited_for_and_one_that_began_later_is_not(platform: Platform) -> None:
    world = platform.world

    def begin(key: str) -> int:
        now = world.clock.now()
        with world.units() as work:
            job = work.jobs.request(JobRequest(JobKind.SCORE_POOL, key), now, None)
            work.jobs.begin(job.id, now, now)
            work.commit()
        return job.id

    before = begin("score:1")
    platform.forget(REASON, "admin", [5])
    assert platform.run()["left"] == {"features": 1}
    platform.features.append("7", [5], np.ones((1, 4), dtype=np.float32))
    with world.units() as work:
        work.jobs.finish(before, 1, JobState.SUCCEEDED, world.clock.now(), {}, None)
        work.commit()
    world.clock.advance(seconds=1)
    begin("score:2")
    assert platform.run()["left"] == {}
    assert platform.violations() == []


@pytest.mark.parametrize("is_deleted_in_tool", [False, True])
def test_forgetting_is_neither_a_deletion_nor_a_restored_tool(platform: Platform, is_deleted_in_tool: bool) -> None:
    world = platform.world
    ids = world.review_all()
    world.take_snapshot()
    # More than 5 %, and the newest annotation with them.
    platform.forget(REASON, "admin", [NEWEST, NEWEST - 1, 3])
    if is_deleted_in_tool:
        platform.run()
    for _ in range(2):
        world.clock.advance(minutes=2)
        report = world.receive()
        assert (report.deleted, world.stop()) == (0, None)
    assert sum(not a.is_deleted for a in world.annotations().values()) == len(ids) - 3


def test_a_tool_that_was_restored_after_a_forget_is_still_noticed(platform: Platform) -> None:
    world = platform.world
    world.review_all()
    platform.forget(REASON, "admin", [NEWEST])
    platform.run()
    world.tool._reviews = {i: r for i, r in world.tool._reviews.items() if int(i) <= 20}
    world.receive()
    assert "restored backup" in str(world.stop())


def test_a_review_that_comes_late_is_not_taken_in(platform: Platform) -> None:
    world = platform.world
    world.tool.submit(world.tasks[5], [DENT])
    platform.forget(REASON, "admin", [5])
    ReceiveReviews(world.units, world.tool, world.clock)()
    with world.units(read_only=True) as work:
        assert work.annotations.external_ids(SOURCE) == set()


def test_a_prediction_that_comes_late_is_not_taken_in(platform: Platform) -> None:
    now = platform.world.clock.now()
    platform.forget(REASON, "admin", [5])
    with platform.world.units() as work:
        version = work.models.allot("a", None, now)
        work.predictions.add_many([Prediction(i, version, (), 0.1) for i in (5, 6)], now)
        work.commit()
        assert list(work.predictions.of_version(version)) == [6]


def test_what_comes_back_by_a_job_that_ran_meanwhile_goes_again(platform: Platform) -> None:
    platform.forget(REASON, "admin", [5])
    platform.run()
    path = platform.place(5)
    platform.features.append("7", [5], np.ones((1, 4), dtype=np.float32))
    assert len(platform.violations()) == 1
    assert platform.everywhere().again() == 1
    assert not path.exists()
    assert platform.violations() == []


def test_a_vehicle_goes_as_a_whole_and_its_group_gets_another_name(platform: Platform) -> None:
    with platform.world.units() as work:
        work.images.set_group([1, 2, 3], "car1")
        work.commit()
    found = platform.forget.preview(vehicle="car1")
    assert (found.image_ids, found.look_alikes) == ((1,), (2, 3))
    platform.forget(REASON, "admin", vehicle="car1")
    assert [platform.image(i).group for i in (1, 2, 3)] == ["forgotten-1", "car2", "car2"]
    assert [platform.image(i).split for i in (1, 2, 3)] == [Split.TRAIN] * 3
    with pytest.raises(NotFoundError):
        platform.forget(REASON, "admin", vehicle="car1")


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_a_reason_is_needed(platform: Platform, reason: str) -> None:
    with pytest.raises(InvalidInputError):
        platform.forget(reason, "admin", [5])
    assert platform.image(5).status is ImageStatus.ACTIVE


def photo(seed: int, quality: int = 90) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).resize((96, 72)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_a_forgotten_photo_is_refused_at_import_and_not_even_its_name_is_kept(platform: Platform) -> None:
    world, file = platform.world, platform.folder / "plate-B-123_view1.jpg"
    file.write_bytes(photo(1))
    ingest = IngestImages(world.units, platform.store, world.clock, PARAMS)
    ingest([file], {}, {})
    with world.units(read_only=True) as work:
        (image,) = work.images.of_vehicle("plate-B-123")
    platform.forget(REASON, "admin", [image.id])
    platform.run()
    # The same file, and the same picture in another one.
    (platform.folder / "again.jpg").write_bytes(photo(1) + b"a tail")
    report = ingest([file, platform.folder / "again.jpg"], {}, {})
    assert [(q.file, q.code) for q in report.quarantined] == [(file.name, "forgotten"), ("again.jpg", "forgotten")]
    with world.units(read_only=True) as work:
        assert {q.file for q in work.images.quarantined()} == {FORGOTTEN_NAME}
    assert platform.violations() == []


def test_a_photo_like_a_forgotten_one_joins_no_group_of_it(platform: Platform) -> None:
    world = platform.world
    ingest = IngestImages(world.units, platform.store, world.clock, PARAMS)
    for name, quality in (("first", 95), ("second", 60)):
        (platform.folder / f"{name}.jpg").write_bytes(photo(2, quality))
    ingest([platform.folder / "first.jpg"], {}, {})
    platform.forget(REASON, "admin", vehicle="first")
    assert ingest([platform.folder / "second.jpg"], {}, {}).joined == 0


def test_images_with_the_same_bytes_go_together(platform: Platform) -> None:
    stored = platform.image(5).stored
    with platform.world.units() as work:
        other = type(stored)(
            stored.sha256, "cd" * 32, "jpg", stored.width, stored.height, 1, stored.quality, stored.perceptual_hash
        )
        twin = work.images.add(other, "twin.jpg", "twin", Split.TRAIN, Origin.IMPORT)
        work.commit()
    assert {r.image_id for r in platform.forget(REASON, "admin", [5])} == {5, twin.id}


def test_what_is_left_is_tried_again_after_a_while_and_not_at_every_turn(platform: Platform) -> None:
    now = platform.world.clock.now()
    assert not is_forget_due(0, None, now)
    assert is_forget_due(1, None, now)
    assert not is_forget_due(1, now, now)
    assert is_forget_due(1, now - TRY_AGAIN_AFTER, now)
