"""Which split a group of photos belongs to, for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum


class Split(StrEnum):
    """Part of the data: `train` is chosen from, `val` sets thresholds, `test` gates promotions."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


def split_of_group(group_key: str, seed: int, shares: Mapping[Split, float]) -> Split:
    """Return the split of a group by a keyed hash: the same answer on every machine, whatever came before.

    Args:
        group_key: The vehicle key, or what stands for it: a group that near-duplicates join later keeps its split.
        seed: Key of the hash; another seed deals the groups anew.
        shares: Share of each split; they sum to 1.
    """
    digest = hashlib.blake2b(group_key.encode(), key=str(seed).encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    reached = 0.0
    for split in Split:
        reached += shares[split]
        if position < reached:
            return split
    return Split.TEST
