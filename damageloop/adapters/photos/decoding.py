"""From untrusted bytes to upright RGB pixels with Pillow. Sizes are judged from the header, before pixels.

The process that decodes odd files imports this, so it takes nothing but NumPy and Pillow.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from damageloop.errors import InvalidImageError

if TYPE_CHECKING:
    from damageloop.ports import RgbImage

EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
_ACCEPTED = "use JPEG, PNG or WebP"

# First bytes of formats that people do send, to tell "another kind of image" from "no image".
_OTHER_FORMATS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF or camera raw",
    b"MM\x00*": "TIFF or camera raw",
    b"\x00\x00\x01\x00": "icon",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
}
# A photo has well under 50 pixels to a byte, even a flat JPEG some 170; a file far beyond was made to hurt.
_BOMB_PIXELS_PER_BYTE = 250
# Pillow tells the values of EXIF on the level DEBUG; nothing of a photo's metadata belongs in a log.
logging.getLogger("PIL").setLevel(logging.INFO)

_ORIENTATION_TAG = 0x0112
_STRIP_ROWS = 256
_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# What Pillow's three decoders raise on damaged data (its documentation promises OSError only).
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be, from `ingest` in params.yaml.

    `max_pixels` above 178 million has no effect: Pillow itself refuses more.
    """

    max_file_bytes: int
    max_pixels: int
    min_side_px: int


def decode_rgb(content: bytes, limits: ImageLimits) -> RgbImage:
    """Return the upright pixels of an untrusted file, shape (height, width, 3), uint8.

    Raises:
        InvalidImageError: With the code and a sentence, when the bytes are no usable image.
    """
    return rgb_pixels(decode(open_checked(content, limits)))


def open_checked(content: bytes, limits: ImageLimits) -> Image.Image:
    """Return the image with its header read, checked against every limit, and no pixel decoded yet.

    Raises:
        InvalidImageError: With any code but `truncated`; that one needs the pixels.
    """
    check_bytes(content, limits)
    image = _open(content)
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise InvalidImageError("unsupported_format", "The image is animated: send a single still photo.")
    check_size(image.size, len(content), limits)
    return image


def check_bytes(content: bytes, limits: ImageLimits) -> None:
    """Refuse what is empty or has too many bytes. Raises InvalidImageError."""
    if not content:
        raise InvalidImageError("empty", "The file is empty: send it again, it may have been cut off on its way.")
    if len(content) > limits.max_file_bytes:
        raise InvalidImageError(
            "too_large",
            f"The file has {len(content):,} bytes, {limits.max_file_bytes:,} are allowed: shrink it.",
        )


def check_kind(content: bytes) -> None:
    """Refuse what does not begin as JPEG, PNG or WebP do. Raises InvalidImageError."""
    if not content.startswith((_JPEG_START, _PNG_START)) and not _starts_as_webp(content):
        raise _not_opened(content)


def decode(image: Image.Image) -> Image.Image:
    """Decode the pixels and turn them upright. Raises InvalidImageError, mostly `truncated`."""
    try:
        image.load()
    except Image.DecompressionBombError as exc:
        raise _bomb() from exc
    except _DECODING_ERRORS as exc:
        raise damaged() from exc
    return ImageOps.exif_transpose(image) if orientation(image) != 1 else image


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) to 8; 1 when there is none or it can't be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODING_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def rgb_pixels(image: Image.Image) -> RgbImage:
    """Return decoded pixels of any mode as RGB; transparent parts become white, 16 bits are scaled to 8."""
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_eight_bits(image))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, with_alpha)
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    levels = np.asarray(image)
    scaled = np.empty(levels.shape, dtype=np.uint8)
    # A strip at a time: eight bytes a pixel of the whole would be most of the memory that decoding takes.
    for top in range(0, len(levels), _STRIP_ROWS):
        strip = levels[top : top + _STRIP_ROWS].astype(np.float64)
        scaled[top : top + _STRIP_ROWS] = np.clip(np.rint(strip / 257.0), 0, 255)
    return scaled


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=tuple(EXTENSIONS))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _bomb() from exc
    except UnidentifiedImageError as exc:
        raise _not_opened(content) from exc
    except _DECODING_ERRORS as exc:
        if "too large" in str(exc):  # Pillow's limit on compressed text in a PNG
            raise _bomb() from exc
        raise InvalidImageError(
            "truncated", "The image's header is cut short or damaged: send the original file again."
        ) from exc


def _not_opened(content: bytes) -> InvalidImageError:
    kind = next((name for start, name in _OTHER_FORMATS.items() if content.startswith(start)), None)
    if content[4:8] == b"ftyp":
        kind = "HEIC, AVIF or video"
    if kind is not None:
        return InvalidImageError("unsupported_format", f"The file is of the kind {kind}: {_ACCEPTED}.")
    if content.startswith((_JPEG_START, _PNG_START)) or content[8:12] == b"WEBP":
        return InvalidImageError("truncated", "The image is cut short or damaged: send the original file again.")
    return InvalidImageError("not_an_image", f"The file is no image: {_ACCEPTED}.")


def _starts_as_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def check_size(size_wh: tuple[int, int], n_bytes: int, limits: ImageLimits) -> None:
    """Judge the size that a header declares. Raises InvalidImageError."""
    width, height = size_wh
    if width * height > limits.max_pixels:
        if width * height > _BOMB_PIXELS_PER_BYTE * n_bytes:
            raise _bomb()
        raise InvalidImageError(
            "too_many_pixels",
            f"The image has {width} x {height} pixels, {limits.max_pixels:,} are allowed: shrink it.",
        )
    if min(width, height) < limits.min_side_px:
        raise InvalidImageError(
            "too_small",
            f"The image has {width} x {height} pixels, a side needs {limits.min_side_px}: send a larger one.",
        )


def damaged() -> InvalidImageError:
    """Return the error of a file whose pixels can't be decoded."""
    return InvalidImageError(
        "truncated", "The image is cut short or damaged: open the original, save it anew and send that."
    )


def _bomb() -> InvalidImageError:
    return InvalidImageError(
        "decompression_bomb",
        "The file is small but declares a huge image, so it is not opened: export the photo anew.",
    )
