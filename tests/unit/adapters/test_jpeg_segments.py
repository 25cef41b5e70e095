"""Segment surgery on hand-made bytes; real files are in the integration tests."""

from __future__ import annotations

import pytest

from damageloop.adapters.photos.jpeg_segments import BrokenJpegError, strip_metadata

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
EXIF = b"\xff\xe1\x00\x08Exif\x00\x00"
COMMENT = b"\xff\xfe\x00\x04hi"
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01"
TABLE = b"\xff\xdb\x00\x04\x01\x02"
# Stuffed FF 00 and a restart marker belong to the scan.
SCAN = b"\xff\xda\x00\x03\x00\x11\xff\x00\x22\xff\xd3\x33"


def test_only_what_decoding_needs_is_kept() -> None:
    content = SOI + EXIF + ADOBE + COMMENT + TABLE + SCAN + TABLE + SCAN + EOI
    assert strip_metadata(content) == SOI + ADOBE + TABLE + SCAN + TABLE + SCAN + EOI


def test_bytes_behind_the_end_are_dropped() -> None:
    assert strip_metadata(SOI + TABLE + SCAN + EOI + b"a hidden video") == SOI + TABLE + SCAN + EOI


def test_fill_bytes_before_a_marker_are_dropped() -> None:
    assert strip_metadata(SOI + b"\xff\xff" + TABLE + SCAN + EOI) == SOI + TABLE + SCAN + EOI


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SOI,
        SOI + TABLE,
        SOI + TABLE + SCAN,
        SOI + b"\xff\xdb\x00\x01",
        SOI + b"\xff\xdb\xff\xff",
        SOI + b"\x00",
        EOI,
    ],
)
def test_broken_structures_are_refused(content: bytes) -> None:
    with pytest.raises(BrokenJpegError):
        strip_metadata(content)
