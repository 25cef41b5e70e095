"""An image of the store and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from damageloop.domain.split import Split


class ImageStatus(StrEnum):
    """`excluded_leak`: a duplicate joined groups of two splits, and this image leaves the next snapshot.

    `forgotten`: nothing is left of it but its number, its hashes and a redaction record.
    """

    ACTIVE = "active"
    EXCLUDED_LEAK = "excluded_leak"
    FORGOTTEN = "forgotten"


# The file name of a forgotten image.
FORGOTTEN_NAME = "(forgotten)"


def forgotten_key(image_id: int) -> str:
    """Return what stands for the vehicle of a forgotten image: a vehicle's key may be its number plate."""
    return f"forgotten-{image_id}"


class Origin(StrEnum):
    """Where an image came from."""

    IMPORT = "import"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """Numbers read off the luma of an image.

    Attributes:
        brightness: Mean luma, 0 to 255.
        contrast: Standard deviation of luma, 0 to 127.5.
        sharpness: Variance of the Laplacian of luma at a common size; higher is sharper.
        noise: Standard deviation of the noise in luma at that size, estimated [immerkaer1996fast]; fine texture counts
            too. None for images from before it was measured.
    """

    brightness: float
    contrast: float
    sharpness: float
    noise: float | None = None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """The bytes that the image store holds: upright, without metadata.

    Attributes:
        sha256: Hash of the stored bytes, which also names the file.
        source_sha256: Hash of the bytes as they came; decides "known".
        extension: `jpg`, `png` or `webp`.
        perceptual_hash: 64-bit pHash as 16 hexadecimal digits.
    """

    sha256: str
    source_sha256: str
    extension: str
    width: int
    height: int
    n_bytes: int
    quality: ImageQuality
    perceptual_hash: str

    @property
    def size_wh(self) -> tuple[int, int]:
        return (self.width, self.height)


@dataclass(frozen=True, slots=True)
class ImageHash:
    """The part of a known image by which near-duplicates are found: a million of them fit into memory."""

    image_id: int
    perceptual_hash: str
    quality: ImageQuality


@dataclass(frozen=True, slots=True)
class Image:
    """A known image.

    Attributes:
        id: The database's number.
        vehicle: Which car it shows, as far as file names and lists tell.
        group: The vehicle joined with near-duplicates: what lies in one split and counts once in a round.
    """

    id: int
    stored: StoredImage
    file_name: str
    vehicle: str
    group: str
    split: Split
    status: ImageStatus = ImageStatus.ACTIVE
    origin: Origin = Origin.IMPORT

    @property
    def sha256(self) -> str:
        return self.stored.sha256

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.stored.size_wh

    @property
    def store_key(self) -> str:
        """Return the path of the bytes inside the image store."""
        return store_key(self.stored.sha256, self.stored.extension)


def store_key(sha256: str, extension: str) -> str:
    """Return the path inside the image store of an image with this hash: `sha256/ab/ab….jpg`."""
    return f"sha256/{sha256[:2]}/{sha256}.{extension}"


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A file that was refused at import, with the reason as a code and as a sentence."""

    file: str
    code: str
    reason: str
