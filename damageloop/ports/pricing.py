"""Repositories of what pricing services send and are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from damageloop.domain.batch import Batch, BatchItem, BatchState
from damageloop.domain.feedback import Feedback, FeedbackKind
from damageloop.domain.idempotency import IdempotentRequest


class IdempotencyRepository(Protocol):
    """Requests with an idempotency key."""

    def begin(self, request: IdempotentRequest, died_before: datetime) -> IdempotentRequest:
        """Remember that a request is in work and return it; or return the one that has this key already.

        One of the same fingerprint that began before `died_before` and has no answer is taken over.
        """

    def finish(self, request: IdempotentRequest, status: int, answer: Mapping[str, Any]) -> None:
        """Keep the answer, unless another has taken the request over."""

    def drop(self, request: IdempotentRequest) -> None:
        """Forget a request that came to nothing, so that it may be sent again."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most `limit` requests from before a moment, and return how many it were or would be."""


class ValuationRepository(Protocol):
    """Rules of valuation by version, and what was valued by them. Append-only."""

    def version_of(self, rules_hash: str, rules: Mapping[str, Any], now: datetime) -> int:
        """Return the version of these rules, from 1; rules that are new get the next one."""

    def rules(self, version: int) -> dict[str, Any]:
        """Return the rules of a version. Raises NotFoundError."""

    def add(
        self, valuation_id: str, version: int, model_version: int, content: Mapping[str, Any], now: datetime
    ) -> None:
        """Remember a valuation; the same again changes nothing."""

    def get(self, valuation_id: str) -> dict[str, Any]:
        """Return what was remembered. Raises NotFoundError."""

    def newest(self, limit: int) -> list[str]:
        """Return the ids of the newest valuations, at most so many."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most `limit` valuations from before a moment, and return how many it were or would be."""


class FeedbackRepository(Protocol):
    """Remarks about answers. Append-only."""

    def add(
        self, request_id: str, model_version: int, kind: FeedbackKind, note: str, api_key_id: int, now: datetime
    ) -> Feedback:
        """Keep a remark; the same remark again is not kept twice."""

    def page(self, limit: int, after: int | None) -> list[Feedback]:
        """Return at most `limit` remarks, oldest first, that came after the one with this id."""

    def counts_by_version(self) -> dict[int, dict[str, int]]:
        """Return how often each kind of remark was made about each version."""


class BatchRepository(Protocol):
    """Batches and their photos."""

    def add(self, batch_id: str, api_key_id: int, now: datetime) -> Batch: ...
    def get(self, batch_id: str) -> Batch:
        """Return a batch. Raises NotFoundError."""

    def is_known(self, batch_id: str) -> bool:
        """Tell whether there is such a batch."""

    def add_items(self, batch_id: str, items: Sequence[BatchItem]) -> None: ...
    def set_state(
        self, batch_id: str, state: BatchState, now: datetime, job_id: int | None = None, error: str | None = None
    ) -> None: ...
    def set_model(self, batch_id: str, model_version: int) -> None:
        """Fix which version answers; one that is fixed already stays."""

    def waiting(self, batch_id: str, limit: int) -> list[BatchItem]:
        """Return the first photos without an answer, by number."""

    def answer(self, batch_id: str, answers: Mapping[int, Mapping[str, Any]]) -> None:
        """Keep answers by number; a photo that has one keeps it."""

    def items(self, batch_id: str, limit: int, after: int | None) -> list[BatchItem]:
        """Return at most `limit` photos by number, from the one after `after`."""

    def over_before(self, before: datetime, limit: int) -> list[str]:
        """Return batches that came in before a moment, at most so many."""

    def remove(self, batch_id: str) -> None:
        """Remove a batch with its photos' rows."""


class BatchPhotos(Protocol):
    """Bytes of photos that wait for their answer. Every method may raise UnavailableError."""

    def put(self, batch_id: str, number: int, content: bytes) -> str:
        """Keep a photo and return where; doing it twice changes nothing."""

    def read(self, store_key: str) -> bytes:
        """Return the photo's bytes. Raises NotFoundError."""

    def remove(self, batch_id: str) -> None:
        """Remove all photos of a batch; safe to repeat."""

    def batch_ids(self) -> list[str]:
        """Return the batches of which photos are kept."""
