"""The process that decodes odd files, so that what they do to a decoder ends here. Reads and writes pipes only.

`python -m damageloop.adapters.photos.decoding_worker CPU_SECONDS MEMORY_BYTES IDLE_SECONDS`; `careful` starts it.
A request is a length (4 bytes, big-endian), that many bytes of JSON, and the file; an answer is a length, JSON, and
the pixels. It imports NumPy and Pillow only, and ends when its input does or when nothing was asked for a while.
"""

from __future__ import annotations

import json
import os
import resource
import select
import struct
import sys
from collections.abc import Callable
from typing import Any

from PIL import (  # imported here, because no file can be opened later
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from damageloop.adapters.photos.decoding import ImageLimits, decode, open_checked, orientation, rgb_pixels
from damageloop.errors import InvalidImageError

_LENGTH = struct.Struct(">I")
_MAX_OPEN_FILES = 16
_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)

Answer = tuple[dict[str, Any], bytes]


def answer(request: dict[str, Any], content: bytes) -> Answer:
    """Return what the file is and, unless only its header is asked for, its upright pixels."""
    try:
        image = open_checked(content, ImageLimits(*request["limits"]))
        what: dict[str, Any] = {"format": image.format, "mode": image.mode}
        if request["header_only"]:
            # For this Pillow decodes a whole PNG, and forgets that it was damaged: nobody asks for a PNG's turn.
            what["orientation"] = orientation(image) if image.format in ("JPEG", "MPO") else 1
            return what, b""
        image = decode(image)
        what["size_wh"] = image.size
        pixels = rgb_pixels(image)
        factor = max(1, max(image.size) // request["side_px"]) if request["side_px"] else 1
        if factor > 1:
            pixels = rgb_pixels(Image.fromarray(pixels).reduce(factor))
        what["shape"] = pixels.shape
        return what, pixels.tobytes()
    except InvalidImageError as exc:
        return {"code": exc.code, "message": str(exc)}, b""
    except MemoryError:
        raise
    except Exception as exc:  # noqa: BLE001  # hostile data may raise anything; the file is at fault, and is told so
        return {"code": "odd", "message": type(exc).__name__}, b""


def serve(answer_to: Callable[[dict[str, Any], bytes], Answer] = answer) -> None:
    """Answer one request after the other."""
    cpu_s, memory_bytes, idle_s = (int(argument) for argument in sys.argv[1:4])
    source, sink = _own_pipes()
    _limit_resources(memory_bytes)
    while select.select([source], [], [], idle_s)[0]:
        request = json.loads(_read(source, _LENGTH.unpack(_read(source, _LENGTH.size))[0]))
        content = _read(source, request["n_bytes"])
        _limit_cpu(cpu_s)
        try:
            what, pixels = answer_to(request, content)
        except MemoryError:
            what, pixels = {"code": "out_of_memory"}, b""
        text = json.dumps(what).encode()
        _write(sink, _LENGTH.pack(len(text)) + text)
        _write(sink, pixels)


def _own_pipes() -> tuple[int, int]:
    """Return the pipes under numbers that no library prints to."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    return source, sink


def _limit_resources(memory_bytes: int) -> None:
    Image.preinit()
    limits = (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
    )
    for limit, value in limits:
        hard = resource.getrlimit(limit)[1]
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


def _limit_cpu(cpu_s: int) -> None:
    """Allow so much for the next request; the system ends the process that takes more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit, hard = int(used.ru_utime + used.ru_stime) + 1 + cpu_s, resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _read(source: int, n_bytes: int) -> bytes:
    """Return exactly so many bytes; when there are no more, nobody waits for an answer, and the process ends."""
    parts: list[bytes] = []
    while n_bytes:
        part = os.read(source, min(n_bytes, 2**20))
        if not part:
            raise SystemExit(0)
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def _write(sink: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]


if __name__ == "__main__":
    serve()
