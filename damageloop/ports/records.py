"""Repositories of what was asked for, is done step by step, and must be accounted for later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.annotation import Annotation
from damageloop.domain.audit import AuditEntry
from damageloop.domain.redaction import Redaction
from damageloop.domain.second_opinion import OpinionKind, OpinionState, SecondOpinion
from damageloop.domain.trigger import Trigger, TriggerKind, TriggerOrigin


class TriggerRepository(Protocol):
    """Wishes for a training or an audit."""

    def add(self, kind: TriggerKind, origin: TriggerOrigin, reason: str, asked_by: str, now: datetime) -> Trigger: ...
    def open(self, kind: TriggerKind | None = None) -> list[Trigger]:
        """Return the wishes that have not ended, oldest first."""

    def all(self, limit: int = 100, before_id: int | None = None) -> list[Trigger]:
        """Return wishes, newest first; only those older than `before_id` where it is given."""

    def get(self, trigger_id: int) -> Trigger: ...
    def latest(self, origin: TriggerOrigin) -> Trigger | None:
        """Return the newest wish of this origin, ended or not."""

    def end(self, trigger_ids: Sequence[int], outcome: str, now: datetime) -> None: ...


class SecondOpinionRepository(Protocol):
    """Second tasks of images that have an annotation."""

    def add(
        self,
        image_id: int,
        kind: OpinionKind,
        reason: str,
        asked_by: str,
        now: datetime,
        known_annotation_id: int | None = None,
    ) -> SecondOpinion: ...
    def get(self, opinion_id: int) -> SecondOpinion: ...
    def all(self, states: Collection[OpinionState] | None = None) -> list[SecondOpinion]:
        """Return those of these states, oldest first; of all states when None."""

    def of_images(self, image_ids: Sequence[int]) -> list[SecondOpinion]: ...
    def set_task(self, opinion_id: int, task_id: int) -> None:
        """Remember the task; the opinion is `sent` then."""

    def reopen(self, opinion_id: int) -> None:
        """Forget the task; the opinion is `pending` again."""

    def end(self, opinion_id: int, state: OpinionState, now: datetime) -> None: ...


class KnownItemRepository(Protocol):
    """Images whose truth is trusted, put before annotators again, and what those said; never labels."""

    def candidates(self, after_sha256: str, limit: int, reviewers: Sequence[str]) -> list[int]:
        """Return train images that may be known items, by their bytes' hash, from behind the given one.

        Active, with a label that was imported, given by a reviewer or looked at by two people; in no open round, asked
        for by nobody, without an open second opinion, and never a known item before.
        """

    def upsert(self, answer: Annotation) -> bool:
        """Store what the annotation tool says now; True when the content is new or differs."""

    def external_ids(self) -> set[str]:
        """Return the ids of answers that are not tombstones."""

    def tombstone(self, external_ids: Sequence[str]) -> int:
        """Mark answers as deleted by the annotation tool; return how many were not so before."""

    def answered_tasks(self, task_ids: Sequence[int]) -> set[int]:
        """Return those of the tasks that have an answer, skips included."""

    def newest(self, limit: int) -> list[Annotation]:
        """Return the newest answers that are not tombstones, oldest first."""

    def newest_annotations(self, limit: int) -> list[Annotation]:
        """Return the newest labels that people gave in the annotation tool, without tombstones, oldest first."""

    def forget(self, image_ids: Sequence[int]) -> None:
        """Make the answers about at most a few hundred images tombstones without boxes."""

    def forgotten_ids(self) -> set[str]:
        """Return the ids of answers about forgotten images."""


class RedactionRepository(Protocol):
    """Records of forgotten images."""

    def add(
        self,
        image_id: int,
        sha256: str,
        source_sha256: str,
        extension: str,
        reason: str,
        asked_by: str,
        now: datetime,
    ) -> Redaction: ...
    def of_image(self, image_id: int) -> Redaction | None: ...
    def by_source_sha256(self, source_sha256: str) -> Redaction | None: ...
    def all(self) -> list[Redaction]: ...
    def unfinished(self) -> list[Redaction]: ...
    def clear_rows(self, image_ids: Sequence[int], now: datetime) -> None:
        """Take out of the database what it knows of at most a few hundred images; see `forgetting`."""

    def note(self, redaction_id: int, done: Mapping[str, Any]) -> None:
        """Add to what is done."""

    def finish(self, redaction_id: int, now: datetime) -> None: ...


class AuditRepository(Protocol):
    """Acts; append-only."""

    def add(self, actor: str, action: str, subject: str, detail: Mapping[str, Any], now: datetime) -> AuditEntry: ...
    def all(self, limit: int = 100, action: str | None = None) -> list[AuditEntry]:
        """Return acts, newest first."""
