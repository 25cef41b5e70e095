"""Which files are plain, on headers written by hand."""

from __future__ import annotations

import struct

import pytest

from damageloop.adapters.photos.exif_orientation import read_orientation
from damageloop.adapters.photos.plain_headers import MAX_SCANS, PlainHeader, plain_header

FRAME = b"\x08\x00\x30\x00\x40\x03" + b"\x01\x11\x00" * 3
SCAN = b"\xff\xda\x00\x0c\x03" + bytes(9) + b"\x11\x22"


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(*segments: bytes, frame: bytes = FRAME, kind: int = 0xC0, scan: bytes = SCAN) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + segment(kind, frame) + scan + b"\xff\xd9"


def tiff(*entries: tuple[int, int, int, int], order: str = "<", first: int = 8) -> bytes:
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", first)
    rows = b"".join(struct.pack(f"{order}HHIHxx", *entry) for entry in entries)
    return start + struct.pack(f"{order}H", len(entries)) + rows


def exif(block: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + block)


def png(depth: int = 8, color: int = 2, interlace: int = 0, *kinds: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", 64, 48, depth, color, 0, 0, interlace)
    chunks = [
        (b"IHDR", header),
        *((kind, b"Raw profile type exif\0") for kind in kinds),
        (b"IDAT", b"x"),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + bytes(4) for kind, body in chunks
    )


def webp(kind: bytes, start: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + start


def test_a_plain_header_says_the_size_and_the_turn() -> None:
    assert plain_header(jpeg()) == PlainHeader("JPEG", (64, 48))
    turned = plain_header(jpeg(exif(tiff((0x0112, 3, 1, 6), order=">"))))
    assert turned == PlainHeader("JPEG", (64, 48), 6)
    assert turned.size_wh == (48, 64)
    assert plain_header(png()) == PlainHeader("PNG", (64, 48))
    assert plain_header(webp(b"VP8X", b"\x20\0\0\0\x3f\0\0\x2f\0\0")) == PlainHeader("WEBP", (64, 48))
    assert plain_header(webp(b"VP8L", b"\x2f" + struct.pack("<I", 63 | 47 << 14) + bytes(5))) == PlainHeader(
        "WEBP", (64, 48)
    )
    assert plain_header(webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\x40\0\x30\0")) == PlainHeader("WEBP", (64, 48))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8\xff",
        jpeg(kind=0xC3),  # lossless
        jpeg(kind=0xC9),  # arithmetic
        jpeg(frame=b"\x0c" + FRAME[1:]),  # twelve bits
        jpeg(frame=FRAME[:5] + b"\x04" + b"\x01\x11\x00" * 4),  # CMYK
        jpeg(frame=FRAME[:5] + b"\x03"),  # without its components
        jpeg(frame=b"\x08\x00\x00" + FRAME[3:]),  # height told later
        jpeg(segment(0xC0, FRAME)),  # two frames
        jpeg(exif(tiff()), exif(tiff())),
        jpeg(exif(b"II*")),
        jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>")),
        jpeg(*[segment(0xFE, b"")] * 600),
        jpeg(segment(0xFE, b"") + b"\0"),
        jpeg(b"\xff\xe0\xff\xff"),  # runs past the end
        jpeg(b"\xff\xe0\x00\x01"),
        jpeg(kind=0xC2, scan=SCAN * (MAX_SCANS + 1)),
        jpeg(scan=SCAN.replace(b"\x0c\x03", b"\x08\x01") * (MAX_SCANS + 1)),  # one component a scan
        png(16),
        png(8, 3),
        png(8, 6),
        png(8, 2, 1),
        png(8, 2, 0, b"zTXt"),
        png(8, 2, 0, b"tRNS"),
        png(8, 2, 0, b"acTL"),
        png(8, 2, 0, b"tEXt"),
        png()[:-5],
        webp(b"VP8X", b"\x10" + bytes(9)),  # alpha
        webp(b"VP8X", b"\x02" + bytes(9)),  # animation
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 1 << 28) + bytes(5)),
        webp(b"ALPH", bytes(10)),
        webp(b"VP8 ", bytes(4)),
    ],
)
def test_everything_else_is_not_plain(content: bytes) -> None:
    assert plain_header(content) is None


def test_scans_after_one_that_holds_everything_are_never_read() -> None:
    assert plain_header(jpeg(scan=SCAN * (MAX_SCANS + 1))) is not None
    assert plain_header(jpeg(kind=0xC2, scan=SCAN * MAX_SCANS)) is not None


@pytest.mark.parametrize(
    ("block", "orientation"),
    [
        (tiff(), 0),
        (tiff((0x010E, 2, 1, 0), (0x0112, 3, 1, 8)), 8),
        (tiff((0x0112, 3, 1, 77)), 77),
        (tiff((0x0112, 4, 1, 6)), None),  # a long
        (tiff((0x0112, 3, 2, 6)), None),
        (tiff((0x0112, 3, 1, 6), (0x0112, 3, 1, 3)), None),
        (tiff((0x0112, 3, 1, 6))[:-1], None),
        (tiff((0x0112, 3, 1, 6), first=2**32 - 1), None),
        (tiff(first=0), None),
        (b"II+\0" + bytes(20), None),
        (b"", None),
    ],
)
def test_the_orientation_is_read_and_odd_blocks_are_left_to_others(block: bytes, orientation: int | None) -> None:
    assert read_orientation(block) == orientation
