"""Embeddings in the plane by the real library: neighbors stay neighbors, and the same input gives the same map."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from damageloop.adapters.maps import FileMapStore
from damageloop.adapters.projection import TsneProjection
from damageloop.errors import InvalidInputError


def three_clusters(n_each: int, n_features: int = 20) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    centers = 8.0 * np.eye(3, n_features)
    labels = np.repeat(np.arange(3), n_each)
    return (centers[labels] + rng.normal(size=(3 * n_each, n_features))).astype(np.float32), labels


def share_of_like_neighbors(places: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def test_points_of_a_cluster_stay_together_and_the_map_is_the_same_each_time() -> None:
    embeddings, labels = three_clusters(20)
    places = TsneProjection()(embeddings)
    assert places.shape == (60, 2)
    assert np.abs(places).max() == pytest.approx(1.0)
    assert share_of_like_neighbors(places, labels) > 0.95
    assert np.array_equal(places, TsneProjection()(embeddings))


def test_points_beyond_the_fitted_part_are_placed_among_their_neighbors() -> None:
    embeddings, labels = three_clusters(40)
    project = TsneProjection(max_fitted=60)
    places = project(embeddings)
    assert places.shape == (120, 2)
    assert share_of_like_neighbors(places, labels) > 0.95
    assert project.parameters["max_fitted"] == 60


def test_a_copy_of_a_fitted_point_lies_on_it() -> None:
    embeddings, _ = three_clusters(20)
    places = TsneProjection(max_fitted=60)(np.concatenate([embeddings, embeddings]))
    fitted = np.sort(np.random.default_rng(0).permutation(120)[:60])
    alone = sorted(set((fitted % 60).tolist()))
    twins = [i for i in alone if (i in fitted) != (i + 60 in fitted)]
    assert twins
    assert np.allclose(places[twins], places[np.array(twins) + 60], atol=1e-4)


@pytest.mark.parametrize("n_images", [0, 1, 2, 5])
def test_few_images_need_no_neighborhoods(n_images: int) -> None:
    places = TsneProjection()(three_clusters(2)[0][:n_images])
    assert places.shape == (n_images, 2)
    assert np.isfinite(places).all()


def test_equal_images_lie_on_one_place() -> None:
    assert np.array_equal(TsneProjection()(np.ones((4, 8), dtype=np.float32)), np.zeros((4, 2)))


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not finite"):
        TsneProjection()(np.full((3, 4), np.nan, dtype=np.float32))


def test_a_map_is_kept_by_its_hash(tmp_path_factory: pytest.TempPathFactory) -> None:
    maps = FileMapStore(tmp_path_factory.mktemp("cache"))
    assert maps.read("ab") is None
    maps.write("ab", {3: (0.25, -1.0), 1: (0.0, 1.0)})
    assert maps.read("ab") == {1: (0.0, 1.0), 3: (0.25, -1.0)}
