"""A snapshot that names an image which was forgotten since is still trained on, without it."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.shards import manifest_shards, write_shards
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import StoredImage, store_key
from damageloop.domain.snapshot import SnapshotEntry, UnlabeledEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from tests.fakes.photos import PARAMS_FILE
from workers.stages.prepare import prepare
from workers.stages.stage import snapshot_entries

LIMITS = ImageLimits(2**22, 2**22, 8)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FsspecImageStore:
    """An empty image store, with a clone of a workspace as the current folder."""
    monkeypatch.setenv("DAMAGELOOP_IMAGE_STORE_URL", str(tmp_path / "images"))
    clone = tmp_path / "clone"
    (clone / "build").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, clone / "params.yaml")
    monkeypatch.chdir(clone)
    return FsspecImageStore(tmp_path / "images", LIMITS)


def take(store: FsspecImageStore, seed: int) -> StoredImage:
    pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return store.put(buffer.getvalue(), f"{seed}.png")


def entry(stored: StoredImage, split: Split, verdict: Verdict = Verdict.DAMAGED) -> SnapshotEntry:
    boxes = (LabeledBox("dent", Box(1, 1, 20, 20)),) if verdict is Verdict.DAMAGED else ()
    return SnapshotEntry(stored.sha256, stored.extension, stored.size_wh, "car", split, verdict, boxes)


@pytest.fixture
def stored(store: FsspecImageStore) -> list[StoredImage]:
    """Two images of train, one of val, one of test, and one without a label, all named by the snapshot."""
    made = [take(store, seed) for seed in range(5)]
    splits = (Split.TRAIN, Split.TRAIN, Split.VAL, Split.TEST)
    entries = [entry(image, split) for image, split in zip(made[:4], splits, strict=True)]
    shards = Shards.of(entries)
    write_shards(Path("data/manifest"), manifest_shards(shards, [UnlabeledEntry(made[4].sha256, "png")]))
    write_shards(Path("data/annotations"), shards.annotations)
    return made


def index() -> dict[str, object]:
    content: dict[str, object] = json.loads(Path("build/dataset.json").read_text())
    return content


def test_a_snapshot_of_which_nothing_was_forgotten_says_nothing_of_it(stored: list[StoredImage]) -> None:
    prepare()
    assert "redacted" not in index()
    assert len(snapshot_entries()) == 4


def test_forgotten_images_are_left_out_and_counted(store: FsspecImageStore, stored: list[StoredImage]) -> None:
    for gone in (stored[0], stored[4]):
        store.forget(store_key(gone.sha256, gone.extension))
    prepare()
    assert index()["redacted"] == 2
    laid_out = {path.stem for path in Path("build/dataset/images").rglob("*.png")}
    assert laid_out == {image.sha256 for image in stored[1:4]}
    assert len(snapshot_entries()) == 3


def test_an_image_that_is_missing_without_a_record_is_still_an_error(tmp_path: Path, stored: list[StoredImage]) -> None:
    (tmp_path / "images" / store_key(stored[0].sha256, "png")).unlink()
    with pytest.raises(ConflictError, match="lacks 1 of the 4 images"):
        prepare()
