"""A unit of work in memory with only keys, audit and evidence: for unit tests that need no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from damageloop.domain.audit import AuditEntry
from damageloop.domain.evidence import Evidence
from damageloop.domain.key import ApiKey, Scope
from damageloop.domain.served_image import ServedImage
from damageloop.errors import NotFoundError


@dataclass
class MemoryKeys:
    rows: dict[int, ApiKey] = field(default_factory=dict)
    n_touches: int = 0
    n_lookups: int = 0

    def add(
        self,
        name: str,
        scopes: Sequence[Scope],
        key_hash: str,
        now: datetime,
        *,
        hint: str | None = None,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
    ) -> ApiKey:
        key = ApiKey(len(self.rows) + 1, name, frozenset(scopes), now, None, None, key_hash, hint, expires_at)
        self.rows[key.id] = replace(key, requests_per_minute=requests_per_minute)
        return self.rows[key.id]

    def by_hash(self, key_hash: str) -> ApiKey | None:
        self.n_lookups += 1
        return next((key for key in self.rows.values() if key.key_hash == key_hash), None)

    def get(self, key_id: int, for_update: bool = False) -> ApiKey:
        if key_id not in self.rows:
            raise NotFoundError(f"There is no key {key_id}.")
        return self.rows[key_id]

    def all(self, for_update: bool = False) -> list[ApiKey]:
        return list(self.rows.values())

    def replace(self, key_id: int, successor_id: int, ends_at: datetime) -> ApiKey:
        self.rows[key_id] = replace(self.get(key_id), replaced_by=successor_id, expires_at=ends_at)
        return self.rows[key_id]

    def revoke(self, key_id: int, now: datetime) -> ApiKey:
        self.rows[key_id] = replace(self.get(key_id), revoked_at=self.get(key_id).revoked_at or now)
        return self.rows[key_id]

    def touch(self, key_id: int, now: datetime) -> None:
        self.n_touches += 1
        self.rows[key_id] = replace(self.rows[key_id], last_used_at=now)


@dataclass
class MemoryAudit:
    rows: list[AuditEntry] = field(default_factory=list)

    def add(self, actor: str, action: str, subject: str, detail: Mapping[str, Any], now: datetime) -> AuditEntry:
        entry = AuditEntry(len(self.rows) + 1, now, actor, action, subject, dict(detail))
        self.rows.append(entry)
        return entry

    def all(self, limit: int = 100, action: str | None = None) -> list[AuditEntry]:
        return [row for row in reversed(self.rows) if action in (None, row.action)][:limit]


@dataclass
class MemoryEvidence:
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(
        self,
        request_id: str,
        model_version: int,
        answer: Mapping[str, Any],
        now: datetime,
        api_key_id: int | None = None,
    ) -> None:
        self.rows[request_id] = deepcopy(dict(answer))

    def add_many(self, evidence: Sequence[Evidence]) -> None:
        for one in evidence:
            self.rows.setdefault(one.request_id, deepcopy(dict(one.content)))

    def get(self, request_id: str) -> dict[str, Any]:
        if request_id not in self.rows:
            raise NotFoundError(f"There is no prediction {request_id}, or it is no longer kept.")
        return self.rows[request_id]


@dataclass
class MemoryServedImages:
    rows: dict[tuple[str, int], ServedImage] = field(default_factory=dict)

    def add_many(self, served: Sequence[ServedImage]) -> None:
        for one in served:
            self.rows.setdefault((one.request_id, one.position), one)


@dataclass
class MemoryUnits:
    """A `UnitOfWorkFactory` whose units share what they hold; nothing is ever rolled back."""

    keys: MemoryKeys = field(default_factory=MemoryKeys)
    audit: MemoryAudit = field(default_factory=MemoryAudit)
    evidence: MemoryEvidence = field(default_factory=MemoryEvidence)
    served_images: MemoryServedImages = field(default_factory=MemoryServedImages)
    n_commits: int = 0

    def __call__(self, read_only: bool = False) -> Any:
        return self

    def __enter__(self) -> MemoryUnits:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def commit(self) -> None:
        self.n_commits += 1
