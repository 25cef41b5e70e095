"""Groups of photos that must not be told apart: photos of one vehicle joined with near-duplicates.

Pure arithmetic over hashes, embeddings and pairs. Which images are compared, and what a join costs, services decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.image import ImageHash, ImageQuality
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

HASH_BITS = 64
# Up to here two hashes leave room for a cropped copy; beyond, chance takes over. Needs another witness.
LOOSE_HASH_BITS = 16
# Directions that a whitened embedding keeps, and how many rows each must be estimated from.
_MAX_DIRECTIONS = 64
_ROWS_PER_DIRECTION = 8
_MIN_DIRECTIONS = 16
# Below this standard deviation of luma (0 to 127.5) a photo is dark or uniform: its hash describes noise.
MIN_CONTRAST = 8.0
# A photo whose hash is nearly all zeros or ones has no structure at the hash's scale either.
_MIN_SET_BITS = 8


def is_telling(perceptual_hash: str, quality: ImageQuality) -> bool:
    """Tell whether a photo's hash says anything of its content: not of a dark or uniform photo.

    A black photo with noise of standard deviation 2 is not telling; one with a contrast of 40 is.
    """
    n_set = int(perceptual_hash, 16).bit_count()
    return quality.contrast >= MIN_CONTRAST and _MIN_SET_BITS <= n_set <= HASH_BITS - _MIN_SET_BITS


def hash_array(hashes: Sequence[str]) -> Hashes:
    """Return hashes of 16 hexadecimal digits as numbers, shape (n_hashes,)."""
    return np.array([int(text, 16) for text in hashes], dtype=np.uint64)


class HashIndex:
    """Telling perceptual hashes by image id, in the order they were added; each look compares with all of them."""

    def __init__(self) -> None:
        self._ids: Indices = np.empty(1024, dtype=np.int64)
        self._hashes: Hashes = np.empty(1024, dtype=np.uint64)
        self._count = 0
        self.newest_id = 0

    def __len__(self) -> int:
        return self._count

    def refresh(self, items: Iterable[ImageHash]) -> None:
        """Add what others have stored since `newest_id`."""
        for item in items:
            self.add(item)

    def add(self, item: ImageHash) -> None:
        """Add one image, unless its hash tells nothing."""
        self.newest_id = max(self.newest_id, item.image_id)
        if not is_telling(item.perceptual_hash, item.quality):
            return
        if self._count == len(self._ids):
            self._ids = np.concatenate([self._ids, np.empty_like(self._ids)])
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._ids[self._count] = item.image_id
        self._hashes[self._count] = int(item.perceptual_hash, 16)
        self._count += 1

    def near(self, perceptual_hash: str, quality: ImageQuality, max_bits: int) -> list[int]:
        """Return the ids whose hash differs in at most `max_bits` of 64; none for a hash that tells nothing."""
        if not is_telling(perceptual_hash, quality):
            return []
        distances = np.bitwise_count(self._hashes[: self._count] ^ np.uint64(int(perceptual_hash, 16)))
        found: list[int] = self._ids[: self._count][distances <= max_bits].tolist()
        return found


def near_pairs(queries: Hashes, known: Hashes, max_bits: int, n_at_once: int = 4_000_000) -> NDArray[np.int64]:
    """Return all pairs (query index, known index) whose hashes differ in at most `max_bits`, shape (n_pairs, 2).

    Every query is compared with every hash, `n_at_once` distances in memory at a time. 0b0000 and 0b0011 differ in
    2 bits. Empty input gives (0, 2). 100,000 hashes among each other take some 30 s on one core, a million 100 times
    as long; photos that come later cost only their own share.
    """
    step = max(1, n_at_once // max(1, len(known)))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(queries), step):
        distances = np.bitwise_count(queries[start : start + step, None] ^ known[None, :])
        found.append(np.argwhere(distances <= max_bits) + np.array([start, 0]))
    return np.concatenate(found)


def joined(n: int, pairs: Iterable[tuple[int, int]]) -> Indices:
    """Return for each of `n` places the lowest place it is connected with, directly or through others (union-find).

    Four places with the pairs (0, 2) and (2, 3) give [0, 1, 0, 0].

    Raises:
        InvalidInputError: If a pair names a place outside 0 to n - 1.
    """
    parents = list(range(n))

    def root(place: int) -> int:
        while parents[place] != place:
            # Halving the path keeps later looks short.
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for first, second in pairs:
        if not (0 <= first < n and 0 <= second < n):
            raise InvalidInputError(f"The pair ({first}, {second}) names a place outside 0 to {n - 1}.")
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    return np.array([root(place) for place in range(n)], dtype=np.int64)


def kept_split(splits: Sequence[Split]) -> Split:
    """Return the split whose images stay when groups join: test before val before train.

    Figures may not be flattered, so evaluation keeps its images and training loses them.

    Raises:
        InvalidInputError: If there is none.
    """
    if not splits:
        raise InvalidInputError("A group without images has no split.")
    return max(splits, key=list(Split).index)


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Takes from embeddings what all photos have in common, so that a cosine tells photos apart.

    Pooled features of a network are all positive and vary along few directions: between photos of different cars the
    raw cosine is often above 0.95. After centring and scaling each principal direction to variance 1 it is near 0.

    Attributes:
        mean: Shape (n_features,).
        axes: Shape (n_features, n_directions): principal directions over their standard deviation.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def fitted(cls, reference: NDArray[np.float32]) -> Whitening | None:
        """Return what the rows of `reference` have in common; None where they are too few or too alike to tell.

        At most 64 directions and one for each 8 rows: with more, two copies of a photo would be scaled apart.

        Args:
            reference: Embeddings of many different photos, shape (n_images, n_features).
        """
        n_directions = min(_MAX_DIRECTIONS, len(reference) // _ROWS_PER_DIRECTION)
        if n_directions < _MIN_DIRECTIONS:
            return None
        rows = reference.astype(np.float64)
        mean = rows.mean(axis=0)
        _, spread, directions = np.linalg.svd(rows - mean, full_matrices=False)
        deviations = spread[:n_directions] / np.sqrt(len(rows) - 1)
        is_real = deviations > 1e-6 * max(float(np.abs(rows).max()), 1e-12)
        if is_real.sum() < _MIN_DIRECTIONS:
            return None
        return cls(mean, (directions[:n_directions][is_real] / deviations[is_real, None]).T)

    def directions(self, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return whitened embeddings of length 1, shape (n_images, n_directions); one at the mean stays 0."""
        whitened = (embeddings - self.mean) @ self.axes
        lengths = np.linalg.norm(whitened, axis=1, keepdims=True)
        unit: NDArray[np.float64] = whitened / np.where(lengths > 0.0, lengths, 1.0)
        return unit
