"""The image store: upright bytes without metadata, named by their hash, on any fsspec file system."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from damageloop.adapters.file_tree import FileTree, write_file
from damageloop.adapters.photos.careful import CarefulDecoders, shared_decoders
from damageloop.adapters.photos.decoding import (
    EXTENSIONS,
    ImageLimits,
    check_bytes,
    decode_rgb,
    open_checked,
    orientation,
)
from damageloop.adapters.photos.jpeg_segments import BrokenJpegError, strip_metadata
from damageloop.adapters.photos.plain_headers import plain_header
from damageloop.adapters.photos.quality import measure_quality, perceptual_hash
from damageloop.adapters.photos.reader import read_photo
from damageloop.domain.image import StoredImage, store_key
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError
from damageloop.ports import ExaminedImage, Photo, RgbImage

_KEY = re.compile(r"sha256/[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})\.(jpg|png|webp)")
_JPEG_QUALITY = 95
# Beside the images, not among them: the annotation tool's storage is the folder of the images.
_REDACTED = "redacted"
# Stored bytes passed the limits of their day; these keep them readable when the limits get stricter.
_NO_LIMITS = ImageLimits(max_file_bytes=2**62, max_pixels=2**62, min_side_px=1)

__all__ = ["FsspecImageStore", "ImageLimits", "decode_rgb", "measure_quality"]


class FsspecImageStore:
    """`ImageStore` on a local folder or an object store.

    Args:
        url: A path, or an fsspec URL such as `s3://bucket/images`.
        limits: What an image may be; anything else is refused by `put`.
        careful: Decodes what is not plain; without it the decoders that the process shares.
    """

    def __init__(self, url: str | Path, limits: ImageLimits, careful: CarefulDecoders | None = None) -> None:
        self._files = FileTree(url, "image store")
        self._limits = limits
        self._careful = careful or shared_decoders()

    def put(self, content: bytes, file_name: str) -> StoredImage:
        """Decode safely, turn upright, strip metadata and store; `file_name` is not kept."""
        examined = self.examine(content)
        self.keep(examined)
        return examined.stored

    def examine(self, content: bytes) -> ExaminedImage:
        """Return what `keep` would store, and store nothing."""
        stored_bytes, extension, rgb = _normalised(content, self._limits, self._careful)
        height, width = rgb.shape[:2]
        stored = StoredImage(
            sha256=hashlib.sha256(stored_bytes).hexdigest(),
            source_sha256=hashlib.sha256(content).hexdigest(),
            extension=extension,
            width=width,
            height=height,
            n_bytes=len(stored_bytes),
            quality=measure_quality(rgb),
            perceptual_hash=perceptual_hash(rgb),
        )
        return ExaminedImage(stored, stored_bytes)

    def keep(self, examined: ExaminedImage) -> None:
        """Store an examined image; doing it twice changes nothing."""
        key = store_key(examined.stored.sha256, examined.stored.extension)
        if self._files.size(key) != len(examined.content):
            self._files.write(key, examined.content)

    def read(self, store_key: str) -> bytes:
        """Return the stored bytes. Raises NotFoundError."""
        _sha256_of(store_key)
        return self._files.read(store_key)

    def load(self, store_key: str) -> RgbImage:
        """Return the upright pixels, shape (height, width, 3), uint8 RGB."""
        return decode_rgb(self.read(store_key), _NO_LIMITS)

    def photo(self, store_key: str, side_px: int) -> Photo:
        """Return the photo, reduced where it is much larger than needed."""
        return read_photo(self.read(store_key), _NO_LIMITS, side_px, self._careful)

    def link(self, store_key: str, target: Path) -> None:
        """Make the bytes appear at `target` and check their hash; what was there is replaced.

        Raises:
            ConflictError: If the stored bytes are damaged.
        """
        content = self.read(store_key)
        if hashlib.sha256(content).hexdigest() != _sha256_of(store_key):
            raise ConflictError(f"The image store's {store_key} is damaged: restore it from a backup.")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            if not self._hard_link(store_key, target):
                write_file(target, content)
        except OSError as exc:
            raise UnavailableError(f"Image {store_key} could not be placed as {target.name}: {exc.strerror}.") from exc

    def verify(self, store_key: str, sha256: str) -> bool:
        """Tell whether the stored bytes exist and have this hash."""
        try:
            return hashlib.sha256(self.read(store_key)).hexdigest() == sha256
        except NotFoundError:
            return False

    def forget(self, store_key: str) -> None:
        """Remove the bytes for good, and leave a mark by which readers of earlier snapshots know; safe to repeat."""
        # First, so that nobody who finds no bytes takes them for lost.
        self._files.write(f"{_REDACTED}/{_sha256_of(store_key)}", b"forgotten\n")
        self._files.delete(store_key)

    def redacted(self) -> frozenset[str]:
        """Return the hashes of images that were forgotten."""
        return frozenset(self._files.names(_REDACTED))

    def _hard_link(self, key: str, target: Path) -> bool:
        if not self._files.is_local:
            return False
        try:
            os.link(self._files.local_path(key), target)
        except OSError:  # another file system, too many links, or links are forbidden: copying works
            return False
        return True


def _sha256_of(key: str) -> str:
    found = _KEY.fullmatch(key)
    if found is None:
        raise InvalidInputError(f"{key!r} is no key of the image store.")
    return found["sha256"]


def _normalised(content: bytes, limits: ImageLimits, careful: CarefulDecoders) -> tuple[bytes, str, RgbImage]:
    """Return the bytes to store, their extension and the upright pixels. What is not plain is decoded elsewhere."""
    check_bytes(content, limits)
    if plain_header(content) is not None:
        image = open_checked(content, limits)
        image_format, mode = str(image.format), image.mode
        turn = orientation(image) if image_format in ("JPEG", "MPO") else 1
        full_pixels: Callable[[bytes], RgbImage] = partial(decode_rgb, limits=limits)
    else:
        header = careful.header(content, limits)
        image_format, mode, turn = header.image_format, header.mode, header.orientation
        full_pixels = partial(careful.full_pixels, limits=limits)
    image_format = "JPEG" if image_format == "MPO" else image_format
    if image_format == "JPEG" and mode in ("L", "RGB") and turn == 1:
        try:
            stripped = strip_metadata(content)
        except BrokenJpegError:  # decoding says in which way it is broken, or mends it
            pass
        else:
            return stripped, EXTENSIONS[image_format], full_pixels(stripped)
    rgb = full_pixels(content)
    return _encoded(rgb, image_format), EXTENSIONS[image_format], rgb


def _encoded(rgb: RgbImage, image_format: str) -> bytes:
    options = {
        "JPEG": {"quality": _JPEG_QUALITY, "subsampling": 0},
        "WEBP": {"quality": _JPEG_QUALITY},
        "PNG": {},
    }
    buffer = io.BytesIO()
    # An image made from bare pixels carries nothing of the source's metadata.
    Image.fromarray(rgb).save(buffer, image_format, **options[image_format])
    return buffer.getvalue()
