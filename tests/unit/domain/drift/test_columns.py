"""Photos as columns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from damageloop.domain import feature_text
from damageloop.domain.drift.columns import Area, area_of, observed, sample_of
from damageloop.domain.image import ImageQuality
from damageloop.domain.outcome import Outcome
from damageloop.domain.served_image import N_REDUCED, reduced
from tests.factories import make_served


def test_no_photo_gives_columns_without_rows() -> None:
    sample = sample_of([], ["dent"])
    assert sample.n_images == 0
    assert sample.embeddings.shape == (0, 0)
    assert all(len(values) == 0 for values in sample.numeric.values())


def test_a_photo_without_boxes_has_no_confidence_and_zero_counts() -> None:
    sample = sample_of([observed(replace(make_served(), confidences=()))], ["dent", "scratch"])
    assert np.isnan(sample.numeric["confidence"]).all()
    assert sample.numeric["boxes: dent"].tolist() == [0.0]


def test_counts_are_by_class_and_the_confidence_is_the_highest() -> None:
    served = replace(make_served(), confidences=(("dent", 0.4), ("dent", 0.9), ("scratch", 0.5)))
    sample = sample_of([observed(served)], ["dent", "scratch", "glass"])
    assert [sample.numeric[f"boxes: {name}"].tolist() for name in ("dent", "scratch", "glass")] == [[2.0], [1.0], [0.0]]
    assert sample.numeric["confidence"].tolist() == [0.9]


def test_a_photo_that_no_model_looked_at_has_quality_and_outcome_alone() -> None:
    unusable = replace(
        make_served(),
        outcome=Outcome.UNUSABLE_IMAGE,
        top_score=None,
        embedding=None,
        confidences=(),
        quality=ImageQuality(5.0, 2.0, 1.0),
    )
    sample = sample_of([observed(unusable), observed(make_served(2))], ["dent"])
    assert sample.numeric["brightness"].tolist() == [5.0, 120.0]
    assert np.isnan(sample.numeric["boxes: dent"][0])
    assert np.isnan(sample.numeric["noise"][0])
    assert sample.outcomes == ("unusable_image", "damaged")
    assert sample.embeddings.shape == (1, 2)


def test_every_column_is_about_something() -> None:
    areas = {name: area_of(name) for name in sample_of([observed(make_served())], ["dent"]).numeric}
    assert areas["noise"] is Area.QUALITY
    assert areas["boxes: dent"] is Area.PREDICTION
    assert area_of("embedding") is Area.EMBEDDING


def test_a_reduction_keeps_distances_but_for_some_percent() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 448)).astype(np.float32)
    small = np.stack([reduced(vector) for vector in vectors])
    assert small.shape == (60, N_REDUCED)
    before = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)[np.triu_indices(60, 1)]
    after = np.linalg.norm(small[:, None] - small[None], axis=2)[np.triu_indices(60, 1)]
    assert abs(float(np.mean(after / before)) - 1.0) < 0.05
    assert float(np.std(after / before)) < 0.2


def test_a_short_embedding_stays_and_that_of_zero_is_zero() -> None:
    assert reduced(np.array([1.0, -2.0], dtype=np.float32)).tolist() == [1.0, -2.0]
    assert not reduced(np.zeros(448, dtype=np.float32)).any()


def test_an_embedding_comes_back_from_its_text() -> None:
    served = replace(make_served(), embedding=feature_text.encode(np.array([0.5, 4.0], dtype=np.float32)))
    found = observed(served).embedding
    assert found is not None
    assert found.tolist() == [0.5, 4.0]
