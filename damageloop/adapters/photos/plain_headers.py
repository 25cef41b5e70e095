"""Tells from a file's header whether it is a plain photo, without any library; what is odd is not judged here.

Plain files are decoded in this process, all others in a process of their own (`careful`). So in doubt the answer is
None, which costs time and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from damageloop.adapters.photos.exif_orientation import read_orientation

# Baseline, extended and progressive with Huffman codes; arithmetic, lossless and hierarchical ones are rare.
_FRAMES = {0xC0, 0xC1, 0xC2}
_PLAIN_SEGMENTS = {*_FRAMES, 0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}
_PROGRESSIVE, _SOS, _APP1 = 0xC2, 0xDA, 0xE1
_MAX_SEGMENTS = 512
# Each scan of a progressive JPEG costs a pass over the whole image; encoders write about ten. Within a scan FF is
# never followed by DA, so counting them gives too many at most: those of a thumbnail in the metadata.
MAX_SCANS = 32
_EXIF, _XMP = b"Exif\x00", b"http://ns.adobe.com/"

_PNG_START = b"\x89PNG\r\n\x1a\n"
# No alpha, no palette, no animation, and nothing compressed but the pixels; Pillow reads a turn from the others.
_PLAIN_CHUNKS = {b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"bKGD", b"sBIT", b"tEXt"}
_MAX_CHUNKS = 8192
_RAW_PROFILE = re.compile(rb"raw profile", re.IGNORECASE)

_WEBP_ICC_FLAG = 0x20


@dataclass(frozen=True, slots=True)
class PlainHeader:
    """What the header of a plain photo says.

    Attributes:
        stored_wh: Width and height as stored, before any turn.
        orientation: EXIF's, 1 (upright) to 8.
    """

    image_format: Literal["JPEG", "PNG", "WEBP"]
    stored_wh: tuple[int, int]
    orientation: int = 1

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        width, height = self.stored_wh
        return (height, width) if self.orientation >= 5 else (width, height)


def plain_header(content: bytes) -> PlainHeader | None:
    """Return the header of a plain photo, None for everything else.

    Plain are: JPEG with 8 bits, one or three components, Huffman codes and well-formed segments (of several pictures
    in a file the first counts); PNG with 8-bit gray or RGB, not interlaced, without compressed metadata; WebP without
    alpha, animation, EXIF and XMP.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(_PNG_START):
        return _png(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    return None


def _jpeg(content: bytes) -> PlainHeader | None:
    size_wh: tuple[int, int] | None = None
    frame = 0, b""
    exif: bytes | None = None
    turns_by_xmp = False
    position = 2
    for _ in range(_MAX_SEGMENTS):
        marker, start = content[position + 1 : position + 2], position + 2
        if content[position : position + 1] != b"\xff" or not marker:
            return None
        if marker[0] == _SOS:
            is_plain = _is_one_scan(content, frame, start) or content.count(b"\xff\xda") <= MAX_SCANS
            return _jpeg_header(size_wh, exif, turns_by_xmp) if is_plain else None
        position = start + int.from_bytes(content[start : start + 2], "big")
        if marker[0] not in _PLAIN_SEGMENTS or not start + 2 <= position <= len(content):
            return None
        if marker[0] in _FRAMES:
            if size_wh is not None:
                return None
            frame = marker[0], content[start + 7 : start + 8]
            size_wh = _frame_size(content[start:position])
        elif marker[0] == _APP1:
            if content.startswith(_EXIF, start + 2):
                if exif is not None:
                    return None
                exif = content[start + 8 : position]
            turns_by_xmp |= content.startswith(_XMP, start + 2) and content.find(b"Orientation", start, position) > 0
    return None


def _is_one_scan(content: bytes, frame: tuple[int, bytes], scan: int) -> bool:
    """Tell whether the first scan holds all components in full: then libjpeg reads no other."""
    kind, n_components = frame
    return kind != _PROGRESSIVE and content[scan + 2 : scan + 3] == n_components


def _frame_size(segment: bytes) -> tuple[int, int] | None:
    if len(segment) < 8 or segment[2] != 8 or segment[7] not in (1, 3) or len(segment) != 8 + 3 * segment[7]:
        return None
    height, width = int.from_bytes(segment[3:5], "big"), int.from_bytes(segment[5:7], "big")
    return (width, height) if width and height else None


def _jpeg_header(size_wh: tuple[int, int] | None, exif: bytes | None, turns_by_xmp: bool) -> PlainHeader | None:
    if size_wh is None:
        return None
    orientation = 0 if exif is None else read_orientation(exif)
    if orientation is None or (orientation == 0 and turns_by_xmp):
        return None
    return PlainHeader("JPEG", size_wh, orientation if 1 <= orientation <= 8 else 1)


def _png(content: bytes) -> PlainHeader | None:
    if content[8:16] != b"\x00\x00\x00\x0dIHDR" or len(content) < 33:
        return None
    size_wh = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    depth, color, *methods = content[24:29]
    if depth != 8 or color not in (0, 2) or any(methods) or 0 in size_wh:
        return None
    position = 33
    for _ in range(_MAX_CHUNKS):
        kind, end = content[position + 4 : position + 8], position + 12
        end += int.from_bytes(content[position : position + 4], "big")
        if kind not in _PLAIN_CHUNKS or end > len(content):
            return None
        if kind == b"IEND":
            return PlainHeader("PNG", size_wh)
        if kind == b"tEXt" and _RAW_PROFILE.match(content, position + 8):
            return None
        position = end
    return None


def _webp(content: bytes) -> PlainHeader | None:
    kind, start = content[12:16], content[20:30]
    if len(start) < 10:
        return None
    if kind == b"VP8X" and not start[0] & ~_WEBP_ICC_FLAG:
        return PlainHeader("WEBP", (_little(start[4:7]) + 1, _little(start[7:10]) + 1))
    if kind == b"VP8L" and start[0] == 0x2F:
        bits = _little(start[1:5])
        has_alpha = bits >> 28 & 1
        return None if has_alpha else PlainHeader("WEBP", ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
    if kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a":
        size_wh = _little(start[6:8]) & 0x3FFF, _little(start[8:10]) & 0x3FFF
        return PlainHeader("WEBP", size_wh) if all(size_wh) else None
    return None


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
