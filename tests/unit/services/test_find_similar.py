"""Neighbours by the cosine of centred embeddings, from the newest source that has the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.split import Split
from damageloop.errors import NotFoundError
from damageloop.services.images import find_similar
from damageloop.services.images.find_similar import FindSimilar
from tests.fakes.features import FakeFeatureStore
from tests.fakes.photos import make_image


@dataclass
class Units:
    """Images and the champion, as the database would give them."""

    images: dict[int, Image]
    champion: int | None = 7

    def __call__(self, read_only: bool = False) -> Any:
        assert read_only
        return self

    def __enter__(self) -> Any:
        promotion = SimpleNamespace(model_version=self.champion) if self.champion else None
        return SimpleNamespace(
            images=SimpleNamespace(get=self._get, get_many=self._get_many),
            models=SimpleNamespace(champion=lambda: promotion),
        )

    def __exit__(self, *_: object) -> None:
        pass

    def _get(self, image_id: int) -> Image:
        if image_id not in self.images:
            raise NotFoundError(f"There is no image {image_id}.")
        return self.images[image_id]

    def _get_many(self, image_ids: Sequence[int]) -> list[Image]:
        return [self.images[i] for i in image_ids if i in self.images]


@dataclass
class World:
    images: dict[int, Image] = field(default_factory=dict)
    features: FakeFeatureStore = field(default_factory=FakeFeatureStore)

    def add(self, source: str, rows: dict[int, list[float]]) -> None:
        for number in rows:
            self.images.setdefault(number, make_image(number, list(Split)[number % 3]))
        self.features.append(source, list(rows), np.array(list(rows.values()), dtype=np.float32))

    def find(self, image_id: int, limit: int = 20, champion: int | None = 7) -> Any:
        units: Any = Units(self.images, champion)
        return FindSimilar(units, self.features)(image_id, limit)


# Centre (6, 5). Less it: 1 (1, 0), 2 (0, 1), 3 (-2, -2), 4 (1, 1); 1 and 4 are 45 degrees apart, 1 and 2 are 90.
SQUARE = {1: [7.0, 5.0], 2: [6.0, 6.0], 3: [4.0, 3.0], 4: [7.0, 6.0]}


def test_similarity_is_the_cosine_about_the_centre() -> None:
    world = World()
    world.add("7", SQUARE)
    found = world.find(1)
    assert found.source == "7"
    assert [item.image_id for item in found.items] == [4, 2, 3]
    assert [item.similarity for item in found.items] == pytest.approx([0.5**0.5, 0.0, -(0.5**0.5)], abs=1e-6)
    first = world.images[4]
    assert found.items[0].split is first.split
    assert found.items[0].file_name == first.file_name


def test_the_nearest_come_first_and_no_more_than_asked_for() -> None:
    world = World()
    world.add("7", SQUARE)
    assert [item.image_id for item in world.find(1, limit=2).items] == [4, 2]
    assert [item.image_id for item in world.find(1, limit=1).items] == [4]


def test_images_that_are_not_active_are_no_neighbours() -> None:
    world = World()
    world.add("7", SQUARE)
    world.images[4] = replace(world.images[4], status=next(s for s in ImageStatus if s is not ImageStatus.ACTIVE))
    assert [item.image_id for item in world.find(1, limit=1).items] == [2]


def test_equal_neighbours_come_by_number_and_one_in_the_centre_is_like_nothing() -> None:
    world = World()
    # The centre is (0, 0).
    world.add("7", {1: [2, 0], 9: [1, 1], 3: [1, -1], 5: [0, 0], 8: [-4, 0]})
    found = world.find(1)
    assert [item.image_id for item in found.items] == [3, 9, 5, 8]
    assert found.items[2].similarity == 0.0
    assert {item.similarity for item in world.find(5).items} == {0.0}


def test_the_newest_source_that_has_the_image_answers() -> None:
    world = World()
    world.add("pixels-1", {n: [float(n), 1.0] for n in (1, 2, 3, 4)})
    world.add("base-0a1b2c3d4e5f", {n: [float(n), 1.0] for n in (1, 2, 3)})
    world.add("6", {n: [float(n), 1.0] for n in (1, 2, 3, 4)})
    world.add("7", {n: [float(n), 1.0] for n in (1, 2)})
    assert [world.find(n).source for n in (1, 3, 4)] == ["7", "base-0a1b2c3d4e5f", "pixels-1"]
    assert world.find(1, champion=None).source == "base-0a1b2c3d4e5f"


def test_an_image_without_any_embedding_has_no_neighbours_and_an_unknown_one_is_not_found() -> None:
    world = World()
    world.add("7", SQUARE)
    world.images[9] = make_image(9)
    assert world.find(9).items == ()
    assert world.find(9).source is None
    with pytest.raises(NotFoundError):
        world.find(99)


def test_the_centre_follows_when_images_are_added() -> None:
    world = World()
    world.add("7", {1: [1, 0], 2: [-1, 0]})
    units: Any = Units(world.images)
    finding = FindSimilar(units, world.features)
    assert finding(1, 5).items[0].similarity == pytest.approx(-1.0)
    # The centre moves from (0, 0) to (0, -3): 1 and 2 are now 37 degrees apart, cosine (9 - 1) / 10.
    world.add("7", {3: [0, -9]})
    assert {i.image_id: i.similarity for i in finding(1, 5).items}[2] == pytest.approx(0.8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n_images=st.integers(2, 40),
    chunk=st.integers(1, 50),
    limit=st.integers(1, 45),
)
def test_chunks_change_nothing(seed: int, n_images: int, chunk: int, limit: int) -> None:
    rows = np.random.default_rng(seed).normal(1.0, 1.0, (n_images, 4)).astype(np.float16).astype(np.float32)
    world = World()
    world.add("7", {n: row.tolist() for n, row in enumerate(rows)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_similar, "_CHUNK", chunk)
        found = world.find(0, limit)
    centred = rows - rows.mean(axis=0)
    cosines = centred @ centred[0] / (np.linalg.norm(centred, axis=1) * np.linalg.norm(centred[0]))
    expected = [int(n) for n in np.argsort(-cosines, kind="stable") if n != 0][:limit]
    assert [i.similarity for i in found.items] == pytest.approx(cosines[expected].tolist(), abs=1e-5)
