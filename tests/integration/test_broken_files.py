"""What is sent as a photo and is none, or one that was made to hurt, gets its code and costs nobody else anything."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from damageloop.adapters.images import FsspecImageStore
from damageloop.adapters.photos.decoding import ImageLimits, decode_rgb
from damageloop.adapters.photos.plain_headers import plain_header
from damageloop.adapters.photos.quality import measure_quality
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.domain.image import store_key
from damageloop.errors import InvalidImageError
from samples.generator.write import photos
from tests.integration.broken_files import (
    SECRET,
    after_start,
    damaged_files,
    encoded,
    exif,
    odd_photos,
    picture,
    refused,
    segment,
    text_info,
    xmp,
)

ROOT = Path(__file__).parents[2]
LIMITS = ImageLimits(max_file_bytes=2_500_000, max_pixels=3_500_000, min_side_px=1)
READER = LimitedImageReader(LIMITS)


@pytest.mark.parametrize("name", refused())
def test_a_file_that_is_no_photo_gets_its_code_from_reader_and_store(name: str, tmp_path: Path) -> None:
    code, content = refused()[name]
    store = FsspecImageStore(tmp_path, LIMITS)
    for action in (lambda: READER.read(content, 640), lambda: store.put(content, name)):
        with pytest.raises(InvalidImageError) as caught:
            action()
        assert caught.value.code == code
        assert str(caught.value).endswith(".")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("name", odd_photos())
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of broken EXIF and goes on
def test_the_store_keeps_of_an_odd_photo_what_it_always_kept(name: str, tmp_path: Path) -> None:
    content = odd_photos()[name]
    store = FsspecImageStore(tmp_path, LIMITS)
    stored = store.put(content, name)
    key = store_key(stored.sha256, stored.extension)
    expected = decode_rgb(content, LIMITS)
    # WebP and a turned JPEG are coded anew, which loses a little.
    assert np.abs(store.load(key).astype(int) - expected).mean() < 6
    assert stored.size_wh == (expected.shape[1], expected.shape[0])
    assert store.photo(key, 640).size_wh == stored.size_wh


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 12))])
def test_hundreds_of_broken_files_give_a_photo_or_a_code_in_bounded_time_and_memory(seed: int) -> None:
    # The process has a limit on its memory and on its time, and so have those it starts.
    n_files = "500" if seed == 1 else "1000"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.integration.feed_reader", str(seed), n_files]
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True)
    told = json.loads(ended.stdout)
    assert told["surprises"] == []
    assert told["good"] == [[96, 64]] * 4
    known = {"empty", "not_an_image", "unsupported_format", "truncated", "too_large"}
    assert set(told["results"]) <= known | {"photo", "too_many_pixels", "decompression_bomb"}
    assert told["results"]["photo"] > 50
    assert told["results"]["truncated"] > 50


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of broken EXIF and goes on
def test_damaged_files_come_to_the_same_in_this_process_and_in_another() -> None:
    def outcome(content: bytes, *, is_careful: bool) -> bytes | str:
        try:
            return (READER.read(content, 640).pixels if is_careful else decode_rgb(content, LIMITS)).tobytes()
        except InvalidImageError as exc:
            return exc.code

    for name, content in damaged_files(3, 300):
        assert outcome(content, is_careful=True) == outcome(content, is_careful=False), name


def test_a_huge_declared_size_takes_no_memory() -> None:
    bombs = [content for code, content in refused().values() if code == "decompression_bomb"]
    tracemalloc.start()
    for content in bombs:
        with pytest.raises(InvalidImageError):
            READER.read(content, 640)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "odd"])
def test_no_metadata_reaches_the_store_or_the_log(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plain = encoded(picture(), "JPEG", exif=exif(1), icc_profile=SECRET, comment=SECRET)
    contents = {
        "JPEG": after_start(plain, xmp(SECRET), segment(0xED, b"Photoshop 3.0\0" + SECRET)) + SECRET,
        "PNG": encoded(picture(), "PNG", exif=exif(6), icc_profile=SECRET, pnginfo=text_info()),
        "WEBP": encoded(picture(), "WEBP", exif=exif(6), icc_profile=SECRET, xmp=SECRET),
        "odd": encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", exif=exif(6), comment=SECRET),
    }
    content = contents[kind]
    assert SECRET in content
    caplog.clear()
    store = FsspecImageStore(tmp_path, LIMITS)
    stored = store.put(content, "photo")
    READER.read(content, 640)
    kept = store.read(store_key(stored.sha256, stored.extension))
    image = Image.open(io.BytesIO(kept))
    assert SECRET not in kept
    assert not {"exif", "icc_profile", "xmp", "comment", "Comment"} & set(image.info)
    assert all(SECRET not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.decode() not in caplog.text


# --- the quick way ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_plain_jpeg_is_turned_as_ingest_turns_it(orientation: int) -> None:
    content = encoded(picture(), "JPEG", exif=exif(orientation), quality=95)
    assert plain_header(content) is not None
    photo = READER.read(content, 640)
    assert np.array_equal(photo.pixels, decode_rgb(content, LIMITS))
    assert photo.size_wh == (photo.pixels.shape[1], photo.pixels.shape[0])


@pytest.mark.parametrize(
    ("size_wh", "side_px", "reduced_wh"),
    [
        ((2048, 1024), 512, (512, 256)),
        ((2047, 1023), 512, (1024, 512)),
        ((1024, 768), 256, (512, 384)),  # quality is measured at 512
        ((1279, 700), 640, (1279, 700)),
        ((1281, 701), 640, (641, 351)),
        ((700, 2100), 640, (350, 1050)),
    ],
)
def test_a_large_jpeg_is_reduced_no_further_than_needed(
    size_wh: tuple[int, int], side_px: int, reduced_wh: tuple[int, int]
) -> None:
    content = encoded(picture(*size_wh), "JPEG", quality=60)
    photo = READER.read(content, side_px)
    assert photo.size_wh == size_wh
    assert (photo.pixels.shape[1], photo.pixels.shape[0]) == reduced_wh


def test_a_reduced_photo_is_judged_like_the_whole_one() -> None:
    limits = ImageLimits(10**8, 10**8, 1)
    reader = LimitedImageReader(limits)
    for named in photos(vehicles=3, views=1, seed=4, size_wh=(1920, 1440)):
        content = encoded(np.ascontiguousarray(named.photo.pixels[..., ::-1]), "JPEG", quality=90)
        whole, reduced = measure_quality(decode_rgb(content, limits)), reader.quality(reader.read(content, 640).pixels)
        assert reduced.brightness == pytest.approx(whole.brightness, abs=0.5)
        assert reduced.contrast == pytest.approx(whole.contrast, rel=0.04)
        # It is averaged twice, so fine grain counts less: docs/guides/photos.md says how much.
        assert 0.55 < reduced.sharpness / whole.sharpness < 1.02
