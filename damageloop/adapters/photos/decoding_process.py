"""This side of a process that decodes odd files: starting it, asking it, and telling how it ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

import damageloop
from damageloop.adapters.photos.decoding import damaged
from damageloop.errors import InvalidImageError, UnavailableError
from damageloop.ports import RgbImage

logger = logging.getLogger(__name__)

WORKER_MODULE = "damageloop.adapters.photos.decoding_worker"
_LENGTH = struct.Struct(">I")
_MAX_TEXT_BYTES = 16_384
# Between the end of a process's pipe and its own.
_ENDING_S = 1.0
# What a worker takes by itself, and at most for each pixel while transparent parts become white.
_WORKER_BYTES = 600_000_000
_BYTES_A_PIXEL = 28

# What is said of a file, and its pixels unless only the header was asked for.
Answer = tuple[dict[str, Any], RgbImage | None]


class IdleEndError(Exception):
    """The process had ended by itself, after idle time, before it saw the request."""


class _LostWorkerError(Exception):
    """The process ended or sent nonsense instead of an answer."""


@dataclass(frozen=True, slots=True)
class DecoderLimits:
    """What one odd file may take.

    Attributes:
        n_processes: At most so many are decoded at once; further ones wait.
        cpu_s: Seconds of computing.
        deadline_s: Seconds altogether. Longer than `cpu_s`: a busy machine is no fault of the file.
        idle_s: A process that was asked nothing for so long ends.
    """

    n_processes: int = 2
    cpu_s: int = 8
    deadline_s: float = 20.0
    idle_s: int = 60


class DecodingProcess:
    """One process. Not to be used by two threads at once.

    Raises:
        UnavailableError: If it can't be started.
    """

    def __init__(self, module: str, limits: DecoderLimits, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._deadline_s = limits.deadline_s
        memory_bytes = _WORKER_BYTES + _BYTES_A_PIXEL * max_pixels
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", module, str(limits.cpu_s), str(memory_bytes), str(limits.idle_s)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=_bare_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            raise UnavailableError(f"No decoder of odd image files could be started: {exc.strerror}.") from exc

    @property
    def pid(self) -> int:
        return self._process.pid

    def serves(self, max_pixels: int) -> bool:
        """Tell whether it lives and has memory for so many pixels."""
        return self._process.poll() is None and max_pixels <= self._max_pixels

    def ask(self, request: dict[str, Any], content: bytes) -> Answer:
        """Return what the process says of the file.

        Raises:
            InvalidImageError: When it did not live to answer, or took too long. The process is ended then.
            IdleEndError: When it was gone before.
        """
        watch = _Watch(self._process, self._deadline_s)
        try:
            return self._exchange(request, content)
        except (_LostWorkerError, OSError, ValueError, KeyError, TypeError) as exc:
            self._refuse(watch, exc)
        finally:
            watch.cancel()

    def end(self) -> None:
        """End the process and forget its pipes."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def _exchange(self, request: dict[str, Any], content: bytes) -> Answer:
        sink, source = self._process.stdin, self._process.stdout
        if sink is None or source is None:
            raise _LostWorkerError
        text = json.dumps(request | {"n_bytes": len(content)}).encode()
        _write(sink, _LENGTH.pack(len(text)) + text)
        _write(sink, content)
        (length,) = _LENGTH.unpack(_read(source, _LENGTH.size))
        if length > _MAX_TEXT_BYTES:
            raise _LostWorkerError
        what = json.loads(_read(source, length))
        return what, self._pixels(source, what["shape"]) if "shape" in what else None

    def _pixels(self, source: IO[bytes], shape: list[int]) -> RgbImage:
        height, width, n_channels = shape
        if not (min(height, width) > 0 and height * width <= self._max_pixels and n_channels == 3):
            raise _LostWorkerError
        return np.frombuffer(_read(source, height * width * 3), dtype=np.uint8).reshape(height, width, 3)

    def _refuse(self, watch: _Watch, cause: Exception) -> NoReturn:
        code = self._own_end()
        self.end()
        if code == 0:
            raise IdleEndError from cause
        logger.warning("a decoder of odd image files was lost: %s", "too slow" if watch.is_late else f"code {code}")
        # The system kills a process that takes too much memory.
        if watch.is_late or code in (-signal.SIGXCPU, -signal.SIGKILL):
            raise took_too_much() from cause
        if code is not None and code > 0:  # it ends so when it can't start; files make it end by signals only
            raise UnavailableError(f"The decoder of odd image files ended with code {code}.") from cause
        raise damaged() from cause

    def _own_end(self) -> int | None:
        """Return how it ended by itself, None when it lives."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=_ENDING_S)
        return None


class _Watch:
    """Ends a process that is late, so that whoever reads its pipe sees the end."""

    def __init__(self, process: subprocess.Popen[bytes], deadline_s: float) -> None:
        self.is_late = False
        self._process = process
        self._timer = threading.Timer(deadline_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self.is_late = True
        self._process.kill()


def took_too_much() -> InvalidImageError:
    """Return the error of a file that asks for more than a photo does."""
    return InvalidImageError(
        "decompression_bomb", "The file takes more time or memory to decode than a photo does: export the photo anew."
    )


def _read(source: IO[bytes], n_bytes: int) -> bytearray:
    into = bytearray(n_bytes)
    rest = memoryview(into)
    while rest:
        n_read = source.readinto(rest)  # type: ignore[attr-defined]
        if not n_read:
            raise _LostWorkerError
        rest = rest[n_read:]
    return into


def _write(sink: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[sink.write(rest) :]


def _bare_environment() -> dict[str, str]:
    """Return what the interpreter needs to find its modules; no secret and no setting is handed on."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {"PYTHONPATH": str(Path(damageloop.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
