"""Embeddings of length 1 around their mean."""

from __future__ import annotations

import numpy as np
import pytest

from active_learning import reduction
from active_learning.distances import squared_distances
from active_learning.reduction import _principal_axes, reduce
from damageloop.errors import InvalidInputError


def test_vectors_are_centred_and_have_length_one() -> None:
    unit, labeled = reduce(np.array([[4, 5], [-2, -3], [1, 1]], dtype=np.float32), np.array([[1, 3]], dtype=np.float32))
    assert unit[0].tolist() == pytest.approx([0.6, 0.8])
    assert unit[1].tolist() == pytest.approx([-0.6, -0.8])
    assert unit[2].tolist() == [0.0, 0.0]
    assert labeled[0].tolist() == pytest.approx([0.0, 1.0])
    assert unit.dtype == labeled.dtype == np.float32


def test_images_that_are_all_the_same_have_no_direction() -> None:
    unit, _ = reduce(np.full((7, 3), 0.1, dtype=np.float32), None)
    assert unit.tolist() == np.zeros((7, 3)).tolist()


def test_wide_embeddings_keep_their_main_axes() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2))
    axes = np.linalg.qr(rng.normal(size=(10, 2)))[0]
    wide = (plane @ axes.T + 3.0).astype(np.float32)
    narrow, labeled = reduce(wide, wide[:5], n_components=2)
    assert narrow.shape == (50, 2)
    assert labeled == pytest.approx(narrow[:5], abs=1e-5)
    # Nothing lies outside the plane, so all angles are kept.
    plane -= plane.mean(axis=0)
    plane /= np.linalg.norm(plane, axis=1, keepdims=True)
    expected = squared_distances(plane.astype(np.float32), plane.astype(np.float32))
    assert squared_distances(narrow, narrow) == pytest.approx(expected, abs=1e-3)


def test_the_axis_of_largest_variance_comes_first() -> None:
    points = np.array([[0, 5, 0], [0, -5, 0], [1, 0, 0], [-1, 0, 0]], dtype=np.float32)
    narrow, _ = reduce(points, None, n_components=2)
    assert np.abs(narrow) == pytest.approx(np.array([[1, 0], [1, 0], [0, 1], [0, 1]]))


def test_embeddings_of_the_wanted_width_keep_their_axes() -> None:
    unit, _ = reduce(np.array([[0, 3], [0, -3], [1, 0], [-1, 0]], dtype=np.float32), None, n_components=2)
    assert unit.tolist() == [[0, 1], [0, -1], [1, 0], [-1, 0]]


def test_no_images_give_no_rows() -> None:
    unit, labeled = reduce(np.zeros((0, 100), dtype=np.float32), None)
    assert unit.shape == labeled.shape == (0, 64)


def test_a_value_too_large_for_single_precision_is_refused() -> None:
    with pytest.raises(InvalidInputError), np.errstate(over="ignore", invalid="ignore"):
        reduce(np.array([[1e300, 0.0], [0.0, 0.0]]), None)  # type: ignore[arg-type]


def test_axes_are_in_single_precision() -> None:
    points = np.array([[0, 5, 0], [0, -5, 0], [1, 0, 0], [-1, 0, 0]], dtype=np.float32)
    axes = _principal_axes(points, np.zeros(3), 2)
    assert axes.dtype == np.float32
    assert np.abs(axes) == pytest.approx(np.array([[0, 1], [1, 0], [0, 0]]), abs=1e-6)


def test_all_blocks_count_for_the_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[0, 5, 0], [0, -5, 0], [1, 0, 0], [-1, 0, 0]], dtype=np.float32)
    monkeypatch.setattr(reduction, "_BLOCK", 2)
    assert np.abs(reduce(points, None, n_components=2)[0]) == pytest.approx(np.array([[1, 0], [1, 0], [0, 1], [0, 1]]))
