"""Near-duplicates: which hashes tell, which pairs are near, what is connected, and what a cosine can tell."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from damageloop.domain.groups import (
    HashIndex,
    Whitening,
    hash_array,
    is_telling,
    joined,
    kept_split,
    near_pairs,
)
from damageloop.domain.image import ImageHash, ImageQuality
from damageloop.domain.split import Split
from damageloop.errors import InvalidInputError

CLEAR = ImageQuality(brightness=120.0, contrast=40.0, sharpness=50.0)
FLAT = ImageQuality(brightness=9.0, contrast=2.0, sharpness=5.0)
STRIPES = "aaaaaaaaaaaaaaaa"


# --- hashes ----------------------------------------------------------------------------------------------------


def test_a_flat_photo_or_a_hash_of_hardly_a_bit_tells_nothing() -> None:
    assert is_telling(STRIPES, CLEAR)
    assert not is_telling(STRIPES, FLAT)
    assert not is_telling("8000000000000000", CLEAR)
    assert not is_telling("fffffffffffffff0", CLEAR)


def test_near_hashes_differ_in_at_most_so_many_bits() -> None:
    index = HashIndex()
    index.refresh([ImageHash(7, STRIPES, CLEAR), ImageHash(9, "aaaaaaaaaaaaaaa9", CLEAR)])
    # a is 1010 and 9 is 1001: two bits.
    assert index.near(STRIPES, CLEAR, 0) == [7]
    assert index.near(STRIPES, CLEAR, 1) == [7]
    assert index.near(STRIPES, CLEAR, 2) == [7, 9]


def test_what_tells_nothing_is_near_nothing_and_still_counts_as_seen() -> None:
    index = HashIndex()
    index.add(ImageHash(3, STRIPES, FLAT))
    index.add(ImageHash(4, STRIPES, CLEAR))
    index.add(ImageHash(5, STRIPES, FLAT))
    assert (len(index), index.newest_id) == (1, 5)
    assert index.near(STRIPES, CLEAR, 16) == [4]
    assert index.near(STRIPES, FLAT, 16) == []


def test_an_index_grows_beyond_its_first_array() -> None:
    index = HashIndex()
    index.refresh(ImageHash(number, STRIPES, CLEAR) for number in range(1, 2500))
    assert index.near(STRIPES, CLEAR, 0) == list(range(1, 2500))


@settings(max_examples=30, deadline=None, database=None)
@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.lists(st.integers(0, 2**64 - 1), max_size=12),
    st.integers(0, 40),
)
def test_near_pairs_are_those_that_counting_bits_one_by_one_finds(
    queries: list[int], known: list[int], max_bits: int
) -> None:
    found = near_pairs(np.array(queries, dtype=np.uint64), np.array(known, dtype=np.uint64), max_bits)
    naive = [(i, j) for i, a in enumerate(queries) for j, b in enumerate(known) if (a ^ b).bit_count() <= max_bits]
    assert [tuple(pair) for pair in found.tolist()] == naive


def test_pairs_found_in_chunks_are_the_same() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 40, dtype=np.uint64)
    whole = near_pairs(hashes, hashes, 28)
    assert (near_pairs(hashes, hashes, 28, n_at_once=100) == whole).all()
    assert len(whole) > 40


def test_a_hash_is_read_as_a_hexadecimal_number() -> None:
    assert hash_array(["00000000000000ff", "ffffffffffffffff"]).tolist() == [255, 2**64 - 1]


# --- union-find ------------------------------------------------------------------------------------------------


def test_places_are_joined_through_others() -> None:
    assert joined(4, [(0, 2), (3, 2)]).tolist() == [0, 1, 0, 0]
    assert joined(3, []).tolist() == [0, 1, 2]
    assert joined(0, []).tolist() == []


@settings(max_examples=30, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=15), st.randoms())
def test_the_order_of_the_pairs_changes_nothing(pairs: list[tuple[int, int]], random: Random) -> None:
    found = joined(10, pairs)
    shuffled = [pair[::-1] for pair in pairs]
    random.shuffle(shuffled)
    assert (joined(10, shuffled) == found).all()
    assert all(found[a] == found[b] for a, b in pairs)


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        joined(2, [(0, 2)])


def test_evaluation_keeps_its_images_when_splits_meet() -> None:
    assert kept_split([Split.TRAIN, Split.TEST, Split.VAL]) is Split.TEST
    assert kept_split([Split.TRAIN, Split.VAL]) is Split.VAL
    with pytest.raises(InvalidInputError):
        kept_split([])


# --- whitening -------------------------------------------------------------------------------------------------


def positive_features(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return features as a network pools them: positive, large in common, small in what tells photos apart."""
    return (10.0 + rng.normal(size=(n, 40))).astype(np.float32)


def test_whitened_photos_that_differ_are_nearly_orthogonal_though_raw_ones_are_nearly_parallel() -> None:
    rows = positive_features(200, np.random.default_rng(0))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert (unit @ unit.T).min() > 0.95
    whitening = Whitening.fitted(rows)
    assert whitening is not None
    cosines = whitening.directions(rows) @ whitening.directions(rows).T
    np.fill_diagonal(cosines, 0.0)
    assert cosines.max() < 0.85


def test_a_copy_with_a_little_noise_points_the_same_way() -> None:
    rng = np.random.default_rng(0)
    rows = positive_features(200, rng)
    whitening = Whitening.fitted(rows)
    assert whitening is not None
    copies = rows + rng.normal(scale=0.1, size=rows.shape).astype(np.float32)
    cosines = (whitening.directions(rows) * whitening.directions(copies)).sum(axis=1)
    assert cosines.min() > 0.95


def test_too_few_or_equal_photos_have_nothing_in_common_to_take_away() -> None:
    assert Whitening.fitted(positive_features(100, np.random.default_rng(0))) is None
    assert Whitening.fitted(np.ones((500, 40), dtype=np.float32)) is None
    assert Whitening.fitted(np.zeros((0, 0), dtype=np.float32)) is None


def test_a_photo_at_the_mean_points_nowhere() -> None:
    rows = positive_features(200, np.random.default_rng(0))
    whitening = Whitening.fitted(rows)
    assert whitening is not None
    at_mean: Any = whitening.mean[None]
    assert np.abs(whitening.directions(at_mean)).max() == 0.0
