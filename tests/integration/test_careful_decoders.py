"""Odd files are decoded elsewhere: whatever happens there costs one file and nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from damageloop.adapters.photos.careful import CarefulDecoders, shared_decoders
from damageloop.adapters.photos.decoding import ImageLimits, decode_rgb
from damageloop.adapters.photos.decoding_process import DecoderLimits
from damageloop.adapters.photos.reader import LimitedImageReader, read_photo
from damageloop.errors import InvalidImageError, UnavailableError
from tests.integration.broken_files import SECRET, encoded, many_scans, odd_photos, picture

LIMITS = ImageLimits(max_file_bytes=5_000_000, max_pixels=6_000_000, min_side_px=1)
HOSTILE = "tests.integration.hostile_decoder"
ROOT = Path(__file__).parents[2]


def cmyk(word: bytes = b"") -> bytes:
    """Return a good photo that is not plain, with a word behind it for the hostile decoder."""
    return odd_photos()["cmyk jpeg"] + word


@pytest.fixture
def made() -> Iterator[Callable[..., CarefulDecoders]]:
    """Return a maker of decoders that end with the test."""
    all_made: list[CarefulDecoders] = []

    def make(module: str = HOSTILE, **limits: float) -> CarefulDecoders:
        all_made.append(CarefulDecoders(DecoderLimits(**limits), module))  # type: ignore[arg-type]
        return all_made[-1]

    yield make
    for decoders in all_made:
        decoders.close()


def pids(decoders: CarefulDecoders) -> list[int]:
    return [process.pid for process in decoders._idle]


@pytest.mark.parametrize(
    ("word", "code"),
    [
        (b"CRASH", "truncated"),
        (b"SLEEP", "decompression_bomb"),
        (b"COMPUTE", "decompression_bomb"),
        (b"HUNGER", "decompression_bomb"),
        (b"NONSENSE", "truncated"),
        (b"LIE", "truncated"),
    ],
)
def test_a_decoder_that_fails_costs_one_file_and_is_replaced(
    made: Callable[..., CarefulDecoders], word: bytes, code: str
) -> None:
    # A sleeper is ended by the deadline, one who computes by the system's limit.
    decoders = made(deadline_s=4.0 if word == b"SLEEP" else 60.0, cpu_s=0)
    reader = LimitedImageReader(LIMITS, decoders)
    before = reader.read(cmyk(), 640)
    with pytest.raises(InvalidImageError) as caught:
        reader.read(cmyk(word), 640)
    assert caught.value.code == code
    after = reader.read(cmyk(), 640)
    assert np.array_equal(before.pixels, after.pixels)
    assert len(pids(decoders)) == 1


def test_photos_beside_a_crashing_and_a_hanging_one_are_answered(made: Callable[..., CarefulDecoders]) -> None:
    reader = LimitedImageReader(LIMITS, made(deadline_s=4.0))
    words = [b"", b"CRASH", b"", b"SLEEP", b"", b"CRASH", b"", b""]

    def outcome(word: bytes) -> str:
        try:
            return str(reader.read(cmyk(word), 640).size_wh)
        except InvalidImageError as exc:
            return exc.code

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(outcome, words))
    good = "(96, 64)"
    bomb = "decompression_bomb"
    assert outcomes == [good, "truncated", good, bomb, good, "truncated", good, good]


def test_plain_photos_are_read_while_every_decoder_hangs(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made(n_processes=1, deadline_s=1.0)
    reader = LimitedImageReader(LIMITS, decoders)
    with ThreadPoolExecutor(1) as thread:
        hanging = thread.submit(reader.read, cmyk(b"SLEEP"), 640)
        while decoders._free._value != 0:
            time.sleep(0.01)
        assert reader.read(encoded(picture(), "JPEG"), 640).size_wh == (96, 64)
        assert not hanging.done()
        assert isinstance(hanging.exception(), InvalidImageError)


def test_who_gets_no_decoder_in_time_may_try_again(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made(n_processes=1, deadline_s=0.2)
    decoders._free.acquire()
    with pytest.raises(UnavailableError):
        decoders.header(cmyk(), LIMITS)
    decoders._free.release()


def test_a_decoder_gets_no_secret_and_writes_no_file(
    made: Callable[..., CarefulDecoders], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAMAGELOOP_LABEL_STUDIO_TOKEN_FILE", "secret")
    decoders = made()
    told: dict[bytes, str] = {}
    for word in (b"ENVIRONMENT", b"WRITE"):
        with pytest.raises(InvalidImageError) as caught:
            decoders.header(cmyk(word), LIMITS)
        told[word] = str(caught.value)
    assert "DAMAGELOOP" not in told[b"ENVIRONMENT"]
    assert "PYTHONPATH" in told[b"ENVIRONMENT"]
    assert told[b"WRITE"] == f"refused: {errno.EFBIG}"


def test_no_process_is_started_for_plain_photos_or_for_what_is_no_image(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made()
    reader = LimitedImageReader(LIMITS, decoders)
    for kind in ("JPEG", "PNG", "WEBP"):
        reader.read(encoded(picture(), kind), 640)
    for content in (b"", b"text", encoded(picture(), "GIF"), cmyk() + bytes(5_000_000)):
        with pytest.raises(InvalidImageError):
            reader.read(content, 640)
    assert pids(decoders) == []


def test_a_process_is_kept_warm_and_ends_by_itself_when_nothing_is_asked(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made(idle_s=1)
    decoders.header(cmyk(), LIMITS)
    (first,) = pids(decoders)
    decoders.header(cmyk(), LIMITS)
    assert pids(decoders) == [first]
    process = psutil.Process(first)
    while process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    assert decoders.full_pixels(cmyk(), LIMITS).shape == (64, 96, 3)
    assert pids(decoders) != [first]


def test_a_killed_process_is_replaced(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made()
    decoders.header(cmyk(), LIMITS)
    os.kill(pids(decoders)[0], signal.SIGKILL)
    psutil.Process(pids(decoders)[0]).wait(5)
    assert decoders.header(cmyk(), LIMITS).mode == "CMYK"


def test_the_processes_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(cmyk())
    program = (
        "import os, pathlib, sys\n"
        "from damageloop.adapters.photos.careful import CarefulDecoders\n"
        "from damageloop.adapters.photos.decoding import ImageLimits\n"
        "decoders = CarefulDecoders()\n"
        "decoders.header(pathlib.Path(sys.argv[1]).read_bytes(), ImageLimits(10**6, 10**6, 1))\n"
        "print(decoders._idle[0].pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, photo], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert ended.returncode == -9
    pid = int(ended.stdout)
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)


def test_a_forked_process_starts_its_own_decoder(made: Callable[..., CarefulDecoders]) -> None:
    decoders = made()
    decoders.header(cmyk(), LIMITS)
    parents = pids(decoders)
    child = os.fork()
    if child == 0:
        is_good = decoders.full_pixels(cmyk(), LIMITS).shape == (64, 96, 3) and pids(decoders) != parents
        decoders.close()
        os._exit(0 if is_good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert decoders.header(cmyk(), LIMITS).mode == "CMYK"
    assert pids(decoders) == parents


@pytest.mark.parametrize("name", [name for name in odd_photos() if "large" not in name])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of broken EXIF and goes on
def test_odd_photos_have_the_pixels_that_ingest_stores(made: Callable[..., CarefulDecoders], name: str) -> None:
    content = odd_photos()[name]
    expected = decode_rgb(content, LIMITS)
    photo = read_photo(content, LIMITS, 640, shared_decoders())
    assert np.array_equal(photo.pixels, expected)
    assert photo.size_wh == (expected.shape[1], expected.shape[0])
    assert np.array_equal(shared_decoders().full_pixels(content, LIMITS), expected)


def test_a_large_odd_photo_is_reduced_and_keeps_its_size() -> None:
    image = Image.fromarray(picture(2100, 1500)).convert("CMYK")
    photo = read_photo(encoded(image, "JPEG"), LIMITS, 640, shared_decoders())
    assert photo.size_wh == (2100, 1500)
    assert photo.pixels.shape == (500, 700, 3)


def test_nothing_of_a_lost_file_reaches_the_log(
    made: Callable[..., CarefulDecoders], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidImageError):
        made().header(cmyk(b"CRASH" + SECRET), LIMITS)
    assert "lost" in caplog.text
    assert SECRET.decode() not in caplog.text


def test_the_worker_imports_neither_opencv_nor_the_product_s_services() -> None:
    program = (
        "import sys, damageloop.adapters.photos.decoding_worker\n"
        "print([m for m in sys.modules if m.startswith(('cv2', 'damageloop.ports', 'damageloop.domain'))])"
    )
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert output.strip() == b"[]"


def test_a_jpeg_of_many_scans_is_left_to_a_process_and_a_process_that_cannot_start_is_no_fault_of_the_file(
    made: Callable[..., CarefulDecoders],
) -> None:
    limits = ImageLimits(10**8, 10**7, 1)
    with pytest.raises(UnavailableError):
        read_photo(many_scans(100), limits, 640, made("no.such.module"))
    assert read_photo(many_scans(1), limits, 640, made("no.such.module")).size_wh == (1024, 1024)
