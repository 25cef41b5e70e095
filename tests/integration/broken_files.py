"""Broken, odd and hostile image files, all made here and all from a seed. Each is (name, content)."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

SECRET = b"N 48.1374 E 11.5755"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
PNG_START = b"\x89PNG\r\n\x1a\n"

NamedFile = tuple[str, bytes]


def picture(width: int = 96, height: int = 64) -> np.ndarray:
    """Return a picture with four different corners and some texture."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 200.0 * x / width, 200.0 * y / height
    texture = np.random.default_rng(0).integers(0, 40, (height, width))
    return np.stack([red + texture, green + texture, (red + 2 * green) % 160], axis=2).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, image_format, **options)
    return buffer.getvalue()


def exif(orientation: object = 1) -> bytes:
    """Return an EXIF block that holds a turn and what nobody should store."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = SECRET.decode()
    return block.tobytes()


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def after_start(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, data: bytes, depth: int = 8, color: int = 2, interlace: int = 0, before: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return PNG_START + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def interlaced(pixels: np.ndarray) -> bytes:
    """Return a PNG by Adam7 (PNG specification, section 8.2)."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows: list[bytes] = []
    for x, y, step_x, step_y in passes:
        rows += [b"\0" + row.tobytes() for row in pixels[y::step_y, x::step_x] if len(row)]
    return png(pixels.shape[1], pixels.shape[0], zlib.compress(b"".join(rows)), interlace=1)


def inflated(kind: bytes, start: bytes, n_bytes: int = 50_000_000) -> bytes:
    """Return a PNG whose chunk of text or colors is a thousand times as large as it looks."""
    whole = encoded(picture(), "PNG")
    return whole[:33] + chunk(kind, start + zlib.compress(bytes(n_bytes), 9)) + whole[33:]


def many_scans(n_scans: int) -> bytes:
    """Return a progressive JPEG with its last scan many times over: little to send, much to do."""
    jpeg = encoded(picture(1024, 1024), "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * n_scans + EOI


def jpeg_of_size(width: int, height: int) -> bytes:
    """Return a JPEG that declares another size than it has."""
    jpeg = bytearray(encoded(picture(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", height, width)
    return bytes(jpeg)


def webp_of_size(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + encoded(picture(), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def animated(image_format: str) -> bytes:
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:], duration=100)


def endless_exif() -> bytes:
    """Return EXIF whose directory names itself as the next one, and as its own EXIF and GPS directory."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825, 0xA005))
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 3) + entries + struct.pack("<I", 8)


def xmp(content: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + content)


def text_info() -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", SECRET.decode())
    info.add_text("Compressed", SECRET.decode(), zip=True)
    return info


@functools.cache
def odd_photos() -> dict[str, bytes]:
    """Return files that are unusual and fine."""
    image = Image.fromarray(picture())
    jpeg = encoded(image, "JPEG", quality=90)
    palette = image.quantize(16)
    second = Image.fromarray(255 - picture())
    return {
        **{f"jpeg turned {n}": encoded(image, "JPEG", exif=exif(n)) for n in range(1, 9)},
        **{f"png turned {n}": encoded(image, "PNG", exif=exif(n)) for n in (3, 6)},
        **{f"webp turned {n}": encoded(image, "WEBP", exif=exif(n)) for n in (3, 6)},
        "gray jpeg": encoded(image.convert("L"), "JPEG"),
        "progressive jpeg": encoded(image, "JPEG", progressive=True),
        "large jpeg": encoded(picture(2100, 1500), "JPEG"),
        "large progressive jpeg turned": encoded(picture(1500, 2100), "JPEG", progressive=True, exif=exif(6)),
        "cmyk jpeg": encoded(image.convert("CMYK"), "JPEG"),
        "rgb jpeg": encoded(image, "JPEG", keep_rgb=True),
        "jpeg with restarts": encoded(image, "JPEG", restart_marker_rows=1),
        "jpeg with a strange orientation": encoded(image, "JPEG", exif=exif(77)),
        "jpeg turned by xmp": after_start(jpeg, xmp(b'<x tiff:Orientation="6"/>')),
        "jpeg with billions of laughs": after_start(jpeg, xmp(b'<!DOCTYPE z [<!ENTITY a "&b;&b;">]>' * 800)),
        "jpeg with endless exif": after_start(jpeg, segment(0xE1, endless_exif())),
        "jpeg with much exif": after_start(jpeg, segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(60_000))),
        "jpeg with cut exif": after_start(jpeg, segment(0xE1, b"Exif\0\0MM")),
        "jpeg with broken profile": after_start(jpeg, *[segment(0xE2, b"ICC_PROFILE\0\x09\xff" + bytes(60_000))] * 40),
        "jpeg with many comments": after_start(jpeg, *[segment(0xFE, SECRET)] * 2000),
        "jpeg with a zip behind": jpeg + b"PK\x03\x04" + bytes(500),
        "jpeg with a page inside": after_start(jpeg, segment(0xFE, b"<script>alert(1)</script>")),
        "two pictures": encoded(image, "MPO", save_all=True, append_images=[second]),
        "deep png": encoded(Image.fromarray(np.tile(np.arange(64, dtype=np.uint16) * 1028, (40, 1))), "PNG"),
        "deep rgb png": png(64, 64, zlib.compress((b"\0" + bytes(384)) * 64), depth=16),
        "palette png": encoded(palette, "PNG"),
        "palette png with alpha": encoded(palette, "PNG", transparency=3),
        "palette png with alphas": encoded(palette, "PNG", transparency=bytes(range(0, 160, 10))),
        "rgba png": encoded(image.convert("RGBA"), "PNG"),
        "gray alpha png": encoded(image.convert("LA"), "PNG"),
        "black and white png": encoded(image.convert("1"), "PNG"),
        "png with a transparent color": encoded(image, "PNG", transparency=(1, 2, 3)),
        "interlaced png": interlaced(picture()),
        "png with texts": encoded(image, "PNG", pnginfo=text_info()),
        "png whose pixels are followed by much": png(64, 64, zlib.compress(bytes(20_000_000), 9)),
        "webp": encoded(image, "WEBP"),
        "lossless webp": encoded(image, "WEBP", lossless=True),
        "webp with alpha": encoded(image.convert("RGBA"), "WEBP"),
        "lossless webp with alpha": encoded(
            Image.merge("RGBA", (*image.split(), image.convert("L"))), "WEBP", lossless=True
        ),
    }


@functools.cache
def refused() -> dict[str, tuple[str, bytes]]:
    """Return files that are no usable photos: name to code and content."""
    jpeg, still_png, webp = (encoded(picture(), kind) for kind in ("JPEG", "PNG", "WEBP"))
    gif = encoded(picture(), "GIF")
    return {
        "empty": ("empty", b""),
        "one byte": ("not_an_image", b"\xff"),
        "text": ("not_an_image", b"Dear Sir or Madam, please find attached"),
        "page": ("not_an_image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "zip": ("not_an_image", b"PK\x03\x04" + jpeg),
        "riff of another kind": ("not_an_image", b"RIFF\x10\0\0\0AVI LIST" + bytes(40)),
        "gif": ("unsupported_format", gif),
        "gif with a jpeg inside": ("unsupported_format", gif + jpeg),
        "animated gif": ("unsupported_format", animated("GIF")),
        "animated png": ("unsupported_format", animated("PNG")),
        "animated webp": ("unsupported_format", animated("WEBP")),
        "bmp": ("unsupported_format", encoded(picture(), "BMP")),
        "tiff": ("unsupported_format", encoded(picture(), "TIFF")),
        "heic": ("unsupported_format", b"\0\0\0\x18ftypheic" + bytes(64)),
        "pdf": ("unsupported_format", b"%PDF-1.7\n" + jpeg),
        "start of jpeg": ("truncated", jpeg[:3]),
        "start of png": ("truncated", still_png[:8]),
        "start of webp": ("truncated", webp[:12]),
        "half a jpeg": ("truncated", jpeg[: len(jpeg) // 2]),
        "jpeg without end": ("truncated", jpeg[:-2]),
        "half a progressive jpeg": ("truncated", encoded(picture(), "JPEG", progressive=True)[:1500]),
        "half a png": ("truncated", still_png[: len(still_png) // 2]),
        "half a webp": ("truncated", webp[: len(webp) // 2]),
        "half a cmyk jpeg": ("truncated", encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG")[:2000]),
        "jpeg of nothing": ("truncated", SOI + EOI),
        "jpeg of many pixels": ("decompression_bomb", jpeg_of_size(65_000, 65_000)),
        "webp of many pixels": ("decompression_bomb", webp_of_size(16_000, 16_000)),
        "png of many pixels": ("decompression_bomb", png(60_000, 60_000, zlib.compress(bytes(100)))),
        "rgba png of many pixels": ("decompression_bomb", png(30_000, 30_000, zlib.compress(bytes(100)), color=6)),
        "png of most pixels": ("decompression_bomb", png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(100)))),
        "png with too many pixels": ("too_many_pixels", png(2000, 2000, zlib.compress(bytes(9)) + bytes(40_000))),
        "png of no pixels": ("truncated", png(0, 10, zlib.compress(bytes(9)))),
        "jpeg of no height": ("truncated", jpeg_of_size(96, 0)),
        "text bomb": ("decompression_bomb", inflated(b"zTXt", b"Comment\0\0")),
        "profile bomb": ("decompression_bomb", inflated(b"iCCP", b"profile\0\0")),
        "international text bomb": ("decompression_bomb", inflated(b"iTXt", b"Comment\0\1\0\0\0")),
        "png with broken data": ("truncated", png(64, 64, b"no zlib at all")),
        "png with a broken checksum": ("truncated", still_png[:29] + b"\0\0\0\0" + still_png[33:]),
        "too many bytes": ("too_large", jpeg + bytes(2_500_000)),
    }


@functools.cache
def _sources() -> dict[str, bytes]:
    kept = ("jpeg turned 6", "progressive jpeg", "cmyk jpeg", "two pictures", "palette png with alphas", "rgba png")
    more = ("deep png", "png turned 6", "interlaced png", "webp", "webp with alpha", "lossless webp", "gray jpeg")
    plain = {"jpeg": encoded(picture(), "JPEG"), "png": encoded(picture(), "PNG")}
    return plain | {name: odd_photos()[name] for name in (*kept, *more)}


def _cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(1, len(content)))]


def _flip_bits_in_header(content: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(2, min(700, len(content)), rng.integers(1, 6)):
        content[place] ^= 1 << int(rng.integers(8))
    return content


def _flip_bits_anywhere(content: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(0, len(content), rng.integers(1, 20)):
        content[place] = int(rng.integers(256))
    return content


def _remove_or_double_a_piece(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = sorted(int(place) for place in rng.integers(2, len(content), 2))
    return content[:start] + content[end:] if rng.integers(2) else content[:end] + content[start:]


def _change_a_marker(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Change the kind of a JPEG's segment, or of a chunk of PNG and WebP."""
    places = [place + 1 for place in range(len(content) - 1) if content[place] == 0xFF and content[place + 1] >= 0xC0]
    places += [place for name in (b"IHDR", b"PLTE", b"IDAT", b"VP8", b"ALPH") if (place := content.find(name)) > 0]
    place = places[int(rng.integers(len(places)))] if places else 0
    content[place] = int(rng.integers(0xC0, 256)) if content[:2] == SOI else int(rng.integers(256))
    return content


def _change_a_length(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Set one of the lengths that follow markers or precede names of chunks to an extreme."""
    extreme = int(rng.choice([0, 1, 2, 3, 0x7F, 0xFF]))
    if content[:2] == SOI:
        places = [place for place in range(2, min(900, len(content) - 4)) if content[place] == 0xFF]
        place = places[int(rng.integers(len(places)))] + 2
        content[place : place + 2] = bytes((extreme, int(rng.integers(256))))
    else:
        place = 8 if content[:4] == PNG_START[:4] else 16
        place = place if rng.integers(2) else max(8, content.find(b"IDAT") - 4)
        content[place : place + 4] = bytes((extreme, *rng.integers(0, 256, 3).tolist()))
    return content


_DAMAGES: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    _cut,
    _flip_bits_in_header,
    _flip_bits_in_header,
    _flip_bits_anywhere,
    _remove_or_double_a_piece,
    _change_a_marker,
    _change_a_length,
)


def damaged_files(seed: int, n_files: int) -> Iterator[NamedFile]:
    """Yield so many damaged files, a different kind of damage and another source each time."""
    rng = np.random.default_rng(seed)
    sources = list(_sources().items())
    for number in range(n_files):
        name, content = sources[number % len(sources)]
        damage = _DAMAGES[int(rng.integers(len(_DAMAGES)))]
        yield f"{number} {name} {damage.__name__}", bytes(damage(bytearray(content), rng))
