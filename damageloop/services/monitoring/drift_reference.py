"""What served photos are compared with: random images of the pool that the champion never learned, or served ones.

A model is surest on what it was trained on, and what a strategy chose is biased on purpose: neither is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.drift.columns import Observation, observed
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.outcome import Outcome, is_usable, quality_flags
from damageloop.domain.prediction import Prediction
from damageloop.domain.round import RANDOM_SHARES, RoundItem
from damageloop.domain.served_image import reduced
from damageloop.domain.split import Split
from damageloop.errors import NotFoundError
from damageloop.params import Params
from damageloop.ports import FeatureStore, ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.monitoring.version_answers import VersionAnswers, answers_of
from damageloop.services.serving.answer_damage import outcome_rules

# Fact: which version's first served photos a person took for the reference.
REFERENCE = "drift.reference"
RANDOM, SERVED = "random", "served"


@dataclass(frozen=True, slots=True)
class Reference:
    """What to compare with.

    Attributes:
        kind: `random` images of the pool, or the first `served` after the promotion.
        n_unscored: Random images that the champion has not looked at yet.
    """

    kind: str
    observations: tuple[Observation, ...]
    n_unscored: int = 0


@dataclass(frozen=True, slots=True)
class ReadReference:
    """Reads the reference of the champion."""

    features: Callable[[], FeatureStore]
    releases: ReleaseStore
    params: Params

    def __call__(self, work: UnitOfWork, version: int) -> Reference:
        """Return it; with a model that has just become champion there may be little of it yet.

        Raises:
            NotFoundError: If the champion's release is missing.
        """
        confirmed = work.facts.get(REFERENCE) or {}
        if confirmed.get("model_version") == version:
            served = work.served_images.first(version, self.params.drift.reference_images)
            return Reference(SERVED, tuple(observed(one) for one in served[: int(confirmed["n_images"])]))
        return self._random(work, version)

    def _random(self, work: UnitOfWork, version: int) -> Reference:
        images = random_images(work, self.params.drift.reference_images)
        predictions = work.predictions.of_version(version, [image.id for image in images])
        scored = [image for image in images if image.id in predictions]
        vectors = self._embeddings(version, [image.id for image in scored])
        see = _Look(answers_of(self.releases, self.params, version))
        found = tuple(see(image, predictions[image.id], vectors.get(image.id)) for image in scored)
        return Reference(RANDOM, found, len(images) - len(scored))

    def _embeddings(self, version: int, image_ids: Sequence[int]) -> Mapping[int, NDArray[np.float32]]:
        store, source = self.features(), str(version)
        known = set(store.known_ids(source).tolist())
        present = [image_id for image_id in image_ids if image_id in known]
        if not present:
            return {}
        try:
            rows = store.read(source, present)
        except NotFoundError:
            return {}
        return {image_id: reduced(row) for image_id, row in zip(present, rows, strict=True)}


def random_images(work: UnitOfWork, limit: int) -> list[Image]:
    """Return uniformly random active images that no model was trained on, at most so many.

    First what rounds drew at random and nobody has labeled for training: audited images, and explored ones without an
    annotation. Where these are fewer, images of val and test by a hash: whole groups were dealt out to them by a hash
    before anybody looked, so they are as random, and are trained on as little. What was asked for is in neither.
    """
    items = [item for each in work.rounds.all() for item in work.rounds.items(each.id)]
    drawn = _usable(work, sorted({item.image_id for item in items if _is_random(item)}))
    asked_for = {item.image_id for item in items}
    if len(drawn) < limit:
        others = [i for i in work.images.unannotated([Split.VAL, Split.TEST]) if i.id not in asked_for]
        drawn += sorted(others, key=lambda image: _order(image.sha256))[: limit - len(drawn)]
    return sorted(drawn, key=lambda image: _order(image.sha256))[:limit]


def _is_random(item: RoundItem) -> bool:
    return item.share in RANDOM_SHARES and item.probability is not None


def _usable(work: UnitOfWork, image_ids: Sequence[int]) -> list[Image]:
    """Return active images, those of train only while nobody has labeled them."""
    images = [image for image in work.images.get_many(image_ids) if image.status is ImageStatus.ACTIVE]
    labeled = {a.image_id for a in work.annotations.live([i.id for i in images if i.split is Split.TRAIN])}
    return [image for image in images if image.id not in labeled]


def _order(sha256: str) -> str:
    return hashlib.sha256(f"drift:{sha256}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Look:
    """Says of an image of the pool what serving would have said of it."""

    answers: VersionAnswers

    def __call__(self, image: Image, prediction: Prediction, embedding: NDArray[np.float32] | None) -> Observation:
        quality, rules = image.stored.quality, outcome_rules(self.answers.params.serving)
        if not is_usable(quality_flags(quality, image.size_wh, rules)):
            return Observation(image.size_wh, quality, Outcome.UNUSABLE_IMAGE, None, (), None)
        confidences = tuple((found.damage_class, found.confidence) for found in self.answers.shown(prediction))
        outcome = self.answers.outcome(prediction)
        return Observation(image.size_wh, quality, outcome, prediction.top_score, confidences, embedding)
