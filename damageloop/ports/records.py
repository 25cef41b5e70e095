"""Repositories of what was asked for, is done step by step, and must be accounted for later."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

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

    def add(self, image_id: int, kind: OpinionKind, reason: str, asked_by: str, now: datetime) -> SecondOpinion: ...
    def get(self, opinion_id: int) -> SecondOpinion: ...
    def all(self, states: Collection[OpinionState] | None = None) -> list[SecondOpinion]:
        """Return those of these states, oldest first; of all states when None."""

    def of_images(self, image_ids: Sequence[int]) -> list[SecondOpinion]: ...
    def set_task(self, opinion_id: int, task_id: int) -> None:
        """Remember the task; the opinion is `sent` then."""

    def reopen(self, opinion_id: int) -> None:
        """Forget the task; the opinion is `pending` again."""

    def end(self, opinion_id: int, state: OpinionState, now: datetime) -> None: ...


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
