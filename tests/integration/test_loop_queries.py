"""What a turn of the loop asks the database, so that it need not read every label, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from damageloop.domain.annotation import Verdict
from damageloop.domain.image import ImageStatus
from damageloop.domain.prediction import Prediction
from damageloop.domain.split import Split
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.errors import UnavailableError
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.read_triggers import DUE_SINCE
from damageloop.services.snapshots.snapshot_content import lacking_kinds
from tests.factories import MOMENT, add_image, make_annotation
from tests.fakes.clock import FakeClock
from tests.fakes.photos import make_params
from tests.integration.databases import BOTH

DATABASES = BOTH
PARAMS = make_params()


def annotate(work: UnitOfWork, number: int, split: Split, *verdicts: Verdict) -> int:
    image = add_image(work, number, split)
    for order, verdict in enumerate(verdicts):
        said = make_annotation(image.id, f"{number}-{order}", verdict, MOMENT + timedelta(seconds=order))
        work.annotations.upsert(said)
    return image.id


def test_lacking_kinds_are_told_without_reading_what_one_person_looked_at(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number, split in enumerate(Split):
            annotate(work, 10 * number + 1, split, Verdict.DAMAGED)
        annotate(work, 2, Split.TRAIN, Verdict.CLEAN)
        # The last word of two people counts, and a skipped photo says nothing.
        disputed = annotate(work, 3, Split.VAL, Verdict.DAMAGED, Verdict.CLEAN)
        annotate(work, 4, Split.TEST, Verdict.CLEAN, Verdict.DAMAGED)
        annotate(work, 5, Split.TEST, Verdict.SKIPPED)
        left = annotate(work, 6, Split.TEST, Verdict.CLEAN)
        kinds = work.annotations.undisputed_kinds()
        assert kinds == {
            *((split, Verdict.DAMAGED) for split in Split),
            (Split.TRAIN, Verdict.CLEAN),
            (Split.TEST, Verdict.CLEAN),
        }
        assert disputed in work.annotations.disputed_images()
        assert lacking_kinds(work, PARAMS) == ()
        work.annotations.tombstone("label-studio", ["6-0"])
        assert lacking_kinds(work, PARAMS) == ("test has not yet an image marked as no damage",)
        work.annotations.upsert(replace(make_annotation(left, "6-0", Verdict.CLEAN), updated_at=MOMENT))


def test_unscored_images_are_counted_as_they_are_listed(units: UnitOfWorkFactory) -> None:
    with units() as work:
        ids = [add_image(work, number).id for number in range(1, 5)]
        work.images.exclude_leaks(ids[3:])
        assert work.images.get(ids[3]).status is ImageStatus.EXCLUDED_LEAK
        work.predictions.add_many([Prediction(ids[0], 7, (), 0.1)], MOMENT)
        for version, n_unscored in ((7, 2), (8, 3)):
            assert work.images.n_unscored(version) == n_unscored == len(work.images.unscored(version))


def test_the_newest_change_has_a_time_by_our_clock(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        assert work.annotations.changed_at() is None
        image = add_image(work)
        clock.advance(seconds=30)
        work.annotations.upsert(make_annotation(image.id))
        assert work.annotations.changed_at() == clock.now()
        changed_at = clock.now()
        clock.advance(seconds=30)
        # The same again is no change.
        work.annotations.upsert(make_annotation(image.id))
        assert work.annotations.changed_at() == changed_at


def test_wishes_are_listed_newest_first_in_parts(units: UnitOfWorkFactory, clock: FakeClock) -> None:
    with units() as work:
        made = [
            work.triggers.add(TriggerKind.AUDIT, origin, "why", "ann", clock.now())
            for origin in (TriggerOrigin.PERSON, TriggerOrigin.AGE, TriggerOrigin.PERSON)
        ]
        work.triggers.end([made[1].id], "done", clock.now())
        assert [t.id for t in work.triggers.all(limit=2)] == [made[2].id, made[1].id]
        assert [t.id for t in work.triggers.all(limit=2, before_id=made[1].id)] == [made[0].id]
        latest = work.triggers.latest(TriggerOrigin.AGE)
        assert latest is not None
        assert (latest.id, latest.outcome) == (made[1].id, "done")
        assert work.triggers.latest(TriggerOrigin.DRIFT) is None
        assert [t.id for t in work.triggers.open(TriggerKind.AUDIT)] == [made[0].id, made[2].id]


def test_a_row_that_another_process_wrote_first_is_a_reason_to_try_again(units: UnitOfWorkFactory) -> None:
    with units() as work:
        add_image(work, 1)
        work.commit()
    with pytest.raises(UnavailableError, match="at the same moment"), units() as work:
        add_image(work, 1)


def test_a_version_and_a_fact_are_written_once_though_two_do_it_at_once(units: UnitOfWorkFactory) -> None:
    """As on PostgreSQL without our lock: both have looked before either has written."""
    with units() as work:
        version = work.models.allot("key", None, MOMENT)
        work.models._by_key = lambda _: None  # type: ignore[attr-defined]
        assert work.models.allot("key", None, MOMENT) == version
        work.facts.set(DUE_SINCE, "then")
        work.facts.set(DUE_SINCE, "now")
        assert work.facts.get(DUE_SINCE) == "now"
