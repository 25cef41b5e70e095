"""Who chooses: our strategies and those of scikit-activeml and small-text, behind one signature.

The libraries are imported inside the functions: small-text loads torch where there is one, which takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from active_learning.arrays import IntArray
from active_learning.protocol import Candidates, Labeled
from active_learning.registry import strategy
from benchmarks.peers.contest import Contest

# (contest, how many, seed) -> positions in the pool
Side = Callable[[Contest, int, int], IntArray]
OURS = "damageloop"


def _ours(name: str) -> Side:
    def choose(contest: Contest, n: int, seed: int) -> IntArray:
        groups = np.arange(len(contest.points))
        pool = Candidates.without_predictions(groups, contest.points, Labeled(contest.labeled))
        return strategy(name)(pool, n, np.random.default_rng(seed)).indices

    return choose


def _activeml(name: str) -> Side:
    def choose(contest: Contest, n: int, seed: int) -> IntArray:
        from skactiveml import pool

        options: dict[str, Any] = {}
        if name == "MaxHerding":
            # Its own default, 1 / n_features, is so wide that any image would stand for all.
            options = {"metric": "rbf", "metric_dict": {"gamma": contest.radius**-2}}
        query = getattr(pool, name)(random_state=seed, **options)
        every = np.concatenate((contest.points, contest.labeled))
        labels = np.concatenate((np.full(len(contest.points), np.nan), np.zeros(len(contest.labeled))))
        return np.asarray(query.query(every, labels, batch_size=n), dtype=np.int64)

    return choose


def _small_text(name: str) -> Side:
    def choose(contest: Contest, n: int, seed: int) -> IntArray:
        from small_text.query_strategies import coresets

        n_points, n_all = len(contest.points), len(contest.points) + len(contest.labeled)
        np.random.seed(seed)  # noqa: NPY002 -- the library draws from the global state
        every = np.concatenate((contest.points, contest.labeled))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            query = getattr(coresets, name)(normalize=True)
        unlabeled, labeled = np.arange(n_points), np.arange(n_points, n_all)
        found = query.query(None, np.arange(n_all), unlabeled, labeled, np.zeros(len(labeled)), n, embeddings=every)
        return np.asarray(found, dtype=np.int64)

    return choose


# What is compared: by method, our strategy and those of others that do the same.
METHODS: dict[str, dict[str, Side]] = {
    "core-set": {
        OURS: _ours("coreset"),
        "scikit-activeml": _activeml("CoreSet"),
        "small-text": _small_text("GreedyCoreset"),
        "small-text, lightweight": _small_text("LightweightCoreset"),
    },
    "TypiClust": {OURS: _ours("typiclust"), "scikit-activeml": _activeml("TypiClust")},
    "MaxHerding": {OURS: _ours("uncertainty_herding"), "scikit-activeml": _activeml("MaxHerding")},
}
