"""Saved subsets on the real database, and what a filter finds there."""

from __future__ import annotations

import pytest

from damageloop.domain.annotation import Verdict
from damageloop.domain.prediction import Prediction
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.round import RoundKind
from damageloop.domain.split import Split
from damageloop.domain.subset import SubsetQuery
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.subsets import Subsets
from tests.factories import add_image, make_annotation, make_detection, make_item
from tests.fakes.clock import FakeClock
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH

N_IMAGES = 6


@pytest.fixture(name="subsets")
def subsets_(units: UnitOfWorkFactory, clock: FakeClock) -> Subsets:
    """Six images: 1 damaged, 2 clean, 3 in a round, 5 and 6 of test; the champion scored them 0.1, 0.2 and so on."""
    with units() as work:
        for number in range(1, N_IMAGES + 1):
            add_image(work, number, Split.TEST if number > 4 else Split.TRAIN)
        work.annotations.upsert(make_annotation(1, "a"))
        work.annotations.upsert(make_annotation(2, "b", Verdict.CLEAN))
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, clock.now(), [make_item(3)])
        version = work.models.allot("key", None, clock.now())
        work.models.promote(version, None, None, PromotionReason.PERSON, clock.now())
        work.predictions.add_many(
            [Prediction(n, version, (make_detection(),), n / 10) for n in range(1, N_IMAGES + 1)], clock.now()
        )
        work.commit()
    return Subsets(units, clock, make_params())


def chosen(subsets: Subsets, query: SubsetQuery) -> tuple[int, ...]:
    made = subsets.create("of a query", "", None, query, "ann")
    subsets.delete(made.id)
    return made.image_ids


def test_a_subset_is_saved_and_read_again(subsets: Subsets, clock: FakeClock) -> None:
    made = subsets.create(" dark ", "at night", [3, 1, 3], None, "ann")
    assert (made.name, made.note, made.image_ids, made.created_by) == ("dark", "at night", (1, 3), "ann")
    assert subsets.get(made.id) == subsets.find("dark") == made
    assert subsets.page(10, None).items == (made,)


def test_changing_keeps_name_and_number_and_moves_the_time(subsets: Subsets, clock: FakeClock) -> None:
    made = subsets.create("dark", "", [1, 2], None, "ann")
    clock.advance(minutes=1)
    changed = subsets.change(made.id, added=[4, 2], removed=[1, 6])
    assert changed.image_ids == (2, 4)
    assert (changed.id, changed.created_at) == (made.id, made.created_at)
    assert changed.updated_at > made.updated_at


def test_replacing_takes_other_content_and_another_name(subsets: Subsets) -> None:
    made = subsets.create("dark", "", [1], None, "ann")
    subsets.create("taken", "", [1], None, "ann")
    replaced = subsets.replace(made.id, "held out", "n", None, SubsetQuery(split=Split.TEST))
    assert (replaced.id, replaced.name, replaced.image_ids) == (made.id, "held out", (5, 6))
    with pytest.raises(ConflictError, match="taken"):
        subsets.replace(made.id, "taken", "", [1], None)


def test_an_unknown_image_is_named_and_nothing_is_saved(subsets: Subsets) -> None:
    with pytest.raises(NotFoundError, match=r"image 7, 8, 9, 10, 11 and 2 more"):
        subsets.create("x", "", range(1, 14), None, "ann")
    made = subsets.create("x", "", [1], None, "ann")
    with pytest.raises(NotFoundError, match="image 99"):
        subsets.change(made.id, added=[99])
    assert subsets.get(made.id).image_ids == (1,)


def test_a_name_is_taken_once_and_free_again_after_deleting(subsets: Subsets) -> None:
    made = subsets.create("x", "", [1], None, "ann")
    with pytest.raises(ConflictError, match="already"):
        subsets.create("x", "", [2], None, "ann")
    subsets.delete(made.id)
    assert subsets.create("x", "", [2], None, "ann").image_ids == (2,)


def test_what_is_deleted_or_never_was_is_not_found(subsets: Subsets) -> None:
    with pytest.raises(NotFoundError):
        subsets.get(1)
    with pytest.raises(NotFoundError):
        subsets.delete(1)
    with pytest.raises(NotFoundError):
        subsets.find("x")


@pytest.mark.parametrize(("ids", "query"), [(None, None), ([1], SubsetQuery())])
def test_images_and_filter_exclude_each_other(
    subsets: Subsets, ids: list[int] | None, query: SubsetQuery | None
) -> None:
    with pytest.raises(InvalidInputError, match="exactly one"):
        subsets.create("x", "", ids, query, "ann")


def test_a_filter_is_resolved_at_saving(subsets: Subsets, units: UnitOfWorkFactory) -> None:
    assert chosen(subsets, SubsetQuery()) == (1, 2, 3, 4, 5, 6)
    assert chosen(subsets, SubsetQuery(damage_class="dent")) == (1,)
    assert chosen(subsets, SubsetQuery(is_labeled=True)) == (1, 2)
    assert chosen(subsets, SubsetQuery(round_id=1)) == (3,)
    made = subsets.create("unlabeled", "", None, SubsetQuery(is_labeled=False, split=Split.TRAIN), "ann")
    with units() as work:
        work.annotations.upsert(make_annotation(4, "d"))
        work.commit()
    assert made.image_ids == subsets.get(made.id).image_ids == (3, 4)


def test_a_range_of_scores_finds_no_held_out_image(subsets: Subsets) -> None:
    assert chosen(subsets, SubsetQuery(min_score=0.2)) == (2, 3, 4)
