"""Strip a JPEG of metadata without touching its pixels, by copying only the segments that decoding needs."""

from __future__ import annotations

import re

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP14, _APP15 = 0xE0, 0xEE, 0xEF
_STANDALONE = {0x01, *range(0xD0, 0xD8)}
# Within entropy-coded data FF 00 is a stuffed byte, FF D0 to FF D7 a restart, FF FF fill; all else ends it.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# JFIF version 1.01, square pixels without density, no thumbnail.
_PLAIN_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


class BrokenJpegError(ValueError):
    """The segments do not follow one another as the standard says."""


def strip_metadata(content: bytes) -> bytes:
    """Return the JPEG without EXIF, XMP, ICC, comments, thumbnails, further images and trailing bytes.

    Kept are the tables, frames and scans byte for byte, an Adobe APP14 (it says how colors are coded) and a
    plain JFIF header where there was one. So the decoded pixels are the same.

    Raises:
        BrokenJpegError: If the structure is broken or ends early.
    """
    if content[:2] != bytes((0xFF, _SOI)):
        raise BrokenJpegError("no start of image")
    parts, position = [content[:2]], 2
    while True:
        marker, start = _next_marker(content, position)
        if marker == _EOI:
            return b"".join([*parts, bytes((0xFF, _EOI))])
        end = start if marker in _STANDALONE else _segment_end(content, start)
        position = _scan_end(content, end) if marker == _SOS else end
        parts.append(_kept(marker, content[start:end], content[end:position]))


def _next_marker(content: bytes, position: int) -> tuple[int, int]:
    """Return the marker at `position` (after any fill bytes) and where its segment starts."""
    if position >= len(content) or content[position] != 0xFF:
        raise BrokenJpegError(f"no marker at byte {position}")
    while position < len(content) and content[position] == 0xFF:
        position += 1
    if position >= len(content) or content[position] == 0:
        raise BrokenJpegError(f"no marker at byte {position}")
    return content[position], position + 1


def _segment_end(content: bytes, start: int) -> int:
    length = int.from_bytes(content[start : start + 2], "big")
    if length < 2 or start + length > len(content):
        raise BrokenJpegError(f"a segment at byte {start} runs past the end")
    return start + length


def _scan_end(content: bytes, start: int) -> int:
    found = _MARKER.search(content, start)
    if found is None:
        raise BrokenJpegError("no end of image")
    return found.start()


def _kept(marker: int, segment: bytes, scan: bytes) -> bytes:
    if marker == _APP0:
        return _PLAIN_JFIF if segment[2:7] == b"JFIF\x00" else b""
    is_adobe = marker == _APP14 and segment[2:7] == b"Adobe"
    if marker == _COM or (_APP0 < marker <= _APP15 and not is_adobe):
        return b""
    return bytes((0xFF, marker)) + segment + scan
