"""Embeddings laid out in the plane by scikit-learn: PCA, then t-SNE. It is imported on first use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.errors import InvalidInputError

Floats = NDArray[np.float32]
# Fewer points have no neighborhoods to keep: their two main directions say all.
_MIN_FOR_TSNE = 10


@dataclass(frozen=True, slots=True)
class TsneProjection:
    """`Project`: the same embeddings give the same map [maaten2008].

    t-SNE costs about n log n, so beyond `max_fitted` points it lays out a random part. Every other point is put at
    the mean of its nearest neighbors in that part, weighted by the inverse of their distances.

    Attributes:
        n_components: PCA reduces to so many features first.
        perplexity: About how many neighbors each point looks at.
        n_neighbors: By how many neighbors a point beyond the part is placed.
    """

    n_components: int = 50
    perplexity: float = 30.0
    max_fitted: int = 5000
    n_neighbors: int = 5
    seed: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """Return everything that changes a map, as plain values."""
        return {"method": "pca-tsne", **asdict(self)}

    def __call__(self, embeddings: Floats) -> Floats:
        """Return a place for each row, shape (n_images, 2), within -1 to 1; (0, 2) for none.

        Raises:
            InvalidInputError: If a value is not finite.
        """
        if not np.isfinite(embeddings).all():
            raise InvalidInputError("An embedding holds a value that is not finite; it can't be put on a map.")
        if len(embeddings) == 0:
            return np.zeros((0, 2), dtype=np.float32)
        from threadpoolctl import threadpool_limits

        # Threads meet a thousand times and spin while they wait: beside other work two of them took minutes for what
        # one does in a second. And the map is the same on a machine with more cores.
        with threadpool_limits(1):
            return _scaled(self._places(self._reduced(embeddings)))

    def _places(self, reduced: Floats) -> Floats:
        if len(reduced) <= self.max_fitted:
            return self._laid_out(reduced)
        fitted = np.sort(np.random.default_rng(self.seed).permutation(len(reduced))[: self.max_fitted])
        return self._with_rest(reduced, fitted, self._laid_out(reduced[fitted]))

    def _reduced(self, embeddings: Floats) -> Floats:
        from sklearn.decomposition import PCA

        n_components = min(self.n_components, *embeddings.shape)
        reduced: Floats = PCA(n_components, random_state=self.seed).fit_transform(embeddings.astype(np.float32))
        return reduced

    def _laid_out(self, reduced: Floats) -> Floats:
        if len(reduced) < _MIN_FOR_TSNE:
            return np.pad(reduced[:, :2], ((0, 0), (0, max(0, 2 - reduced.shape[1]))))
        from sklearn.manifold import TSNE

        perplexity = min(self.perplexity, (len(reduced) - 1) / 3.0)
        # Starting from PCA keeps the large distances, and makes one run like the next.
        tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=self.seed)
        places: Floats = tsne.fit_transform(reduced)
        return places

    def _with_rest(self, reduced: Floats, fitted: NDArray[np.int64], places: Floats) -> Floats:
        from sklearn.neighbors import NearestNeighbors

        found = NearestNeighbors(n_neighbors=self.n_neighbors).fit(reduced[fitted])
        rest = np.setdiff1d(np.arange(len(reduced)), fitted)
        distances, neighbors = found.kneighbors(reduced[rest])
        # A copy of a fitted point lies where that point does.
        weights = 1.0 / np.maximum(distances, 1e-9)
        everywhere = np.empty((len(reduced), 2), dtype=np.float32)
        everywhere[fitted] = places
        everywhere[rest] = (places[neighbors] * weights[..., None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)
        return everywhere


def _scaled(places: Floats) -> Floats:
    """Return the places around the middle of the map, the farthest coordinate at 1."""
    centered = places - (places.min(axis=0) + places.max(axis=0)) / 2.0
    reach = float(np.abs(centered).max())
    scaled: Floats = (centered / reach if reach > 0 else centered).astype(np.float32)
    return scaled
