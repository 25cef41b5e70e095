"""Groups dealt out to folds, so that each image can be predicted by a model that never saw its group."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from damageloop.errors import ConflictError


def deal_folds(groups: Sequence[str], n_folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each group: large groups first, each into the fold with the fewest images.

    The order of `groups` changes nothing. Of groups with 3, 2, 2 and 1 images two folds get 4 images each.

    Args:
        groups: The group of each image, shape (n_images,).
        seed: Deals groups of one size out in another order.

    Raises:
        ConflictError: If there are fewer groups than folds.
    """
    sizes = Counter(groups)
    if len(sizes) < n_folds:
        raise ConflictError(f"{len(sizes)} groups can't be dealt out to {n_folds} folds; label more vehicles first.")
    filled = [0] * n_folds
    fold_of: dict[str, int] = {}
    for group in sorted(sizes, key=lambda name: (-sizes[name], _lot(name, seed))):
        fold = filled.index(min(filled))
        fold_of[group] = fold
        filled[fold] += sizes[group]
    return fold_of


def _lot(group: str, seed: int) -> bytes:
    return hashlib.blake2b(group.encode(), key=str(seed).encode(), digest_size=8).digest()
