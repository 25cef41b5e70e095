"""Triggers, second opinions, redactions and the audit: what their repositories promise on each database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from damageloop.domain.second_opinion import OpinionKind, OpinionState
from damageloop.domain.trigger import TriggerKind, TriggerOrigin
from damageloop.errors import DamageloopError, NotFoundError
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT, add_image
from tests.integration.databases import BOTH

DATABASES = BOTH
LATER = MOMENT + timedelta(hours=1)


def test_a_trigger_is_open_until_it_ended_and_ends_once(units: UnitOfWorkFactory) -> None:
    with units() as work:
        first = work.triggers.add(TriggerKind.TRAINING, TriggerOrigin.PERSON, "new bumpers", "ann", MOMENT)
        second = work.triggers.add(TriggerKind.AUDIT, TriggerOrigin.AGE, "old", "loop", MOMENT)
        assert work.triggers.open(TriggerKind.TRAINING) == [first]
        work.triggers.end([first.id], "snapshot 3", LATER)
        work.triggers.end([first.id], "another", LATER + timedelta(hours=1))
        work.commit()
    with units(read_only=True) as work:
        assert work.triggers.open() == [second]
        newest, ended = work.triggers.all()
        assert (newest, ended.outcome, ended.ended_at) == (second, "snapshot 3", LATER)


def test_a_second_opinion_keeps_its_task_and_its_end(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image_id = add_image(work).id
        made = work.second_opinions.add(image_id, OpinionKind.OPINION, "drawn", "loop", MOMENT)
        work.second_opinions.set_task(made.id, 70)
        work.commit()
    with units() as work:
        (sent,) = work.second_opinions.all([OpinionState.SENT])
        assert (sent.task_id, sent.created_at) == (70, MOMENT)
        assert work.second_opinions.of_images([image_id, 99]) == [sent]
        assert work.second_opinions.all([OpinionState.PENDING]) == []
        with pytest.raises(NotFoundError):
            work.second_opinions.set_task(sent.id + 1, 71)


def test_a_redaction_remembers_what_was_done_until_it_is_finished(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        stored = image.stored
        made = work.redactions.add(image.id, stored.sha256, stored.source_sha256, "jpg", "asked for", "ann", MOMENT)
        work.redactions.note(made.id, {"images": 1})
        work.redactions.note(made.id, {"features": ["1"]})
        work.commit()
    with units() as work:
        (open_one,) = work.redactions.unfinished()
        assert open_one.done == {"images": 1, "features": ["1"]}
        assert work.redactions.by_source_sha256(stored.source_sha256) == open_one
        work.redactions.finish(open_one.id, LATER)
        assert work.redactions.unfinished() == []
        assert work.redactions.of_image(image.id) is not None


def test_an_image_is_forgotten_once(units: UnitOfWorkFactory) -> None:
    with units() as work:
        image = add_image(work)
        work.redactions.add(image.id, "a", "b", "jpg", "asked for", "ann", MOMENT)
        work.commit()
    with pytest.raises(DamageloopError), units() as work:
        work.redactions.add(image.id, "a", "b", "jpg", "again", "ann", MOMENT)


def test_acts_are_told_newest_first_with_their_detail(units: UnitOfWorkFactory) -> None:
    with units() as work:
        for number in range(3):
            work.audit.add("ann", "promote" if number else "forget", f"model {number}", {"reason": ["ä", 0.5]}, MOMENT)
        work.commit()
    with units(read_only=True) as work:
        assert [entry.subject for entry in work.audit.all(limit=2)] == ["model 2", "model 1"]
        (forgotten,) = work.audit.all(action="forget")
        assert (forgotten.detail, forgotten.at) == ({"reason": ["ä", 0.5]}, MOMENT)
