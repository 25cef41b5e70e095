"""What a training takes of the machine, estimated beforehand, and what the machine lacks for it. Pure arithmetic.

The constants were measured with yolo11n on the CPU in single precision (docs/reliability.md, "Before a training").
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024**2
# The interpreter with torch and ultralytics, and what its allocator keeps.
PROGRAM_BYTES = 1000 * MIB
# Kept of one image for the way back, for each pixel and each byte of the weights file: a larger network keeps more.
BYTES_PER_PIXEL = 630.0
YOLO11N_WEIGHTS_BYTES = 5.4e6
# In single precision: the weights, their gradients, AdamW's two moments and the moving average.
COPIES_OF_WEIGHTS = 5
# Weights files hold half precision.
SINGLE_OVER_HALF = 2
# Checkpoints, both exports, the copy in the registry and the release.
COPIES_ON_DISK = 18
# One label file and at most one link for each image, and DVC's and git's own.
DISK_PER_IMAGE = 8 * 1024
DISK_BESIDES = 100 * MIB
# Libraries, logs, sockets and the few files that are read at a time.
OPEN_FILES = 512


@dataclass(frozen=True, slots=True)
class TrainingSize:
    """What a training is about.

    Attributes:
        image_bytes: Of all images, where they must be copied because they can't be linked; else 0.
        image_size: Longer side in pixels.
        weights_bytes: Size of the base's weights file.
        is_on_gpu: The batches lie in the GPU's memory, of which nothing is said here.
    """

    n_images: int
    image_bytes: int
    image_size: int
    batch_size: int
    weights_bytes: int
    is_on_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """Bytes of memory and of disk, and files open at a time: needed or to be had."""

    memory_bytes: float
    disk_bytes: float
    open_files: float


def needs(size: TrainingSize) -> Resources:
    """Return what a training takes at its peak.

    Memory is the program, five copies of the weights, and for each image of a batch so many bytes for each pixel,
    in proportion to the weights. At 640 px and a batch of 16 with yolo11n: 1,000 + 51 + 3,938 = 4,989 MiB.
    """
    network = size.weights_bytes / YOLO11N_WEIGHTS_BYTES
    weights = size.weights_bytes * SINGLE_OVER_HALF * COPIES_OF_WEIGHTS
    batch = 0.0 if size.is_on_gpu else size.batch_size * size.image_size**2 * BYTES_PER_PIXEL * network
    disk = size.weights_bytes * COPIES_ON_DISK + size.image_bytes + size.n_images * DISK_PER_IMAGE + DISK_BESIDES
    return Resources(PROGRAM_BYTES + weights + batch, disk, OPEN_FILES)


def shortfalls(needed: Resources, present: Resources) -> list[str]:
    """Return a sentence for each thing of which there is too little; none when a training will do."""
    found = []
    if present.memory_bytes < needed.memory_bytes:
        found.append(
            f"The training needs some {_mib(needed.memory_bytes)} of memory and {_mib(present.memory_bytes)} are free: "
            "end other programs, or make training.batch_size or model.image_size smaller."
        )
    if present.disk_bytes < needed.disk_bytes:
        found.append(
            f"The training needs some {_mib(needed.disk_bytes)} of disk and {_mib(present.disk_bytes)} are free: make "
            "space where the home lies."
        )
    if present.open_files < needed.open_files:
        found.append(
            f"The training opens up to {needed.open_files:.0f} files and this account may open "
            f"{present.open_files:.0f}: raise the limit (`ulimit -n 4096`) and start the platform again."
        )
    return found


def in_words(needed: Resources, present: Resources) -> str:
    """Return both as one line for people."""
    return (
        f"needs {_mib(needed.memory_bytes)} of memory ({_mib(present.memory_bytes)} free), "
        f"{_mib(needed.disk_bytes)} of disk ({_mib(present.disk_bytes)} free) and up to {needed.open_files:.0f} "
        f"open files (limit {present.open_files:.0f})"
    )


def _mib(n_bytes: float) -> str:
    return f"{n_bytes / MIB:,.0f} MiB"
