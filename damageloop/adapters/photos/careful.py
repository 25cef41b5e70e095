"""Has odd files decoded by processes with limits: a crash, an endless loop or a hunger for memory costs one file."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from damageloop.adapters.photos.decoding import ImageLimits, check_bytes, check_kind, damaged
from damageloop.adapters.photos.decoding_process import (
    WORKER_MODULE,
    Answer,
    DecoderLimits,
    DecodingProcess,
    IdleEndError,
    took_too_much,
)
from damageloop.errors import InvalidImageError, UnavailableError
from damageloop.ports import RgbImage

# Pillow opens no more than this, whatever the limits say.
_MOST_PIXELS = 180_000_000
_MAX_SENTENCE = 300
_CODES = frozenset(
    {
        "empty",
        "not_an_image",
        "unsupported_format",
        "truncated",
        "too_large",
        "too_many_pixels",
        "too_small",
        "decompression_bomb",
    }
)


@dataclass(frozen=True, slots=True)
class OddHeader:
    """What the header of a file that is not plain says.

    Attributes:
        image_format: As Pillow names it; the first picture of an `MPO` is a JPEG.
        mode: Pillow's name of how pixels are coded in the file.
        orientation: EXIF's, 1 to 8.
    """

    image_format: str
    mode: str
    orientation: int


class CarefulDecoders:
    """A few warm processes that decode. Starts nothing before it is asked; safe to call from threads.

    Every method raises InvalidImageError, also when decoding crashed (`truncated`) or took too much
    (`decompression_bomb`), and UnavailableError when no process could be had, which is no fault of the file.
    """

    def __init__(self, limits: DecoderLimits | None = None, module: str = WORKER_MODULE) -> None:
        self._limits = limits or DecoderLimits()
        self._module = module
        self._idle: list[DecodingProcess] = []
        self._reset()

    def header(self, content: bytes, limits: ImageLimits) -> OddHeader:
        """Return what the header says."""
        what, _ = self._asked(content, limits, {"side_px": 0, "header_only": True})
        return OddHeader(str(what["format"]), str(what["mode"]), int(what["orientation"]))

    def photo(self, content: bytes, limits: ImageLimits, side_px: int) -> tuple[RgbImage, tuple[int, int]]:
        """Return the upright pixels and the size of the photo; `side_px` 0 means in full."""
        what, pixels = self._asked(content, limits, {"side_px": side_px, "header_only": False})
        if pixels is None:
            raise damaged()
        width, height = what["size_wh"]
        return pixels, (int(width), int(height))

    def full_pixels(self, content: bytes, limits: ImageLimits) -> RgbImage:
        """Return the upright pixels."""
        return self.photo(content, limits, 0)[0]

    def close(self) -> None:
        """End the processes that wait; the next file starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _reset(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(self._limits.n_processes)
        self._idle = []

    def _asked(self, content: bytes, limits: ImageLimits, request: dict[str, Any]) -> Answer:
        check_bytes(content, limits)
        check_kind(content)
        request = {"limits": [limits.max_file_bytes, limits.max_pixels, limits.min_side_px]} | request
        max_pixels = min(limits.max_pixels, _MOST_PIXELS)
        try:
            answer = self._answer(request, content, max_pixels)
        except IdleEndError:
            self.close()  # the other one has waited as long
            answer = self._answer(request, content, max_pixels)
        _refuse_if_told(answer[0])
        return answer

    def _answer(self, request: dict[str, Any], content: bytes, max_pixels: int) -> Answer:
        with self._process(max_pixels) as process:
            return process.ask(request, content)

    @contextmanager
    def _process(self, max_pixels: int) -> Iterator[DecodingProcess]:
        if self._owner != os.getpid():  # after a fork the parent's pipes are not ours
            self._reset()
        if not self._free.acquire(timeout=self._limits.deadline_s):
            raise UnavailableError("All decoders of odd image files are busy.")
        try:
            process = self._warm(max_pixels) or DecodingProcess(self._module, self._limits, max_pixels)
            try:
                yield process
            except BaseException:
                process.end()
                raise
            with self._lock:
                self._idle.append(process)
        finally:
            self._free.release()

    def _warm(self, max_pixels: int) -> DecodingProcess | None:
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None or process.serves(max_pixels):
                return process
            process.end()


@cache
def shared_decoders() -> CarefulDecoders:
    """Return the decoders that this whole process shares, so that their number is bounded."""
    decoders = CarefulDecoders()
    atexit.register(decoders.close)
    return decoders


def _refuse_if_told(what: dict[str, Any]) -> None:
    code = what.get("code")
    if code is None:
        return
    if code == "out_of_memory":
        raise took_too_much()
    # The sentence is ours too; only a process that was taken over would send another.
    sentence = str(what.get("message", ""))[:_MAX_SENTENCE]
    raise InvalidImageError(code, sentence) if code in _CODES and sentence.isprintable() else damaged()
