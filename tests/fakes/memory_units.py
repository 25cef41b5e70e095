"""A unit of work in memory with only keys, evidence and inbox: for unit tests that need no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from damageloop.domain.key import ApiKey, Scope
from damageloop.errors import NotFoundError


@dataclass
class MemoryKeys:
    rows: dict[int, ApiKey] = field(default_factory=dict)
    n_touches: int = 0

    def add(self, name: str, scopes: Sequence[Scope], key_hash: str, now: datetime) -> ApiKey:
        key = ApiKey(len(self.rows) + 1, name, frozenset(scopes), now, None, None, key_hash)
        self.rows[key.id] = key
        return key

    def by_hash(self, key_hash: str) -> ApiKey | None:
        return next((key for key in self.rows.values() if key.key_hash == key_hash), None)

    def all(self) -> list[ApiKey]:
        return list(self.rows.values())

    def revoke(self, key_id: int, now: datetime) -> ApiKey:
        if key_id not in self.rows:
            raise NotFoundError(f"There is no key {key_id}.")
        self.rows[key_id] = replace(self.rows[key_id], revoked_at=self.rows[key_id].revoked_at or now)
        return self.rows[key_id]

    def touch(self, key_id: int, now: datetime) -> None:
        self.n_touches += 1
        self.rows[key_id] = replace(self.rows[key_id], last_used_at=now)


@dataclass
class MemoryEvidence:
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, request_id: str, model_version: int, answer: Mapping[str, Any], now: datetime) -> None:
        self.rows[request_id] = deepcopy(dict(answer))

    def get(self, request_id: str) -> dict[str, Any]:
        if request_id not in self.rows:
            raise NotFoundError(f"There is no prediction {request_id}.")
        return self.rows[request_id]


@dataclass
class MemoryUnits:
    """A `UnitOfWorkFactory` whose units share what they hold; nothing is ever rolled back."""

    keys: MemoryKeys = field(default_factory=MemoryKeys)
    evidence: MemoryEvidence = field(default_factory=MemoryEvidence)
    n_commits: int = 0

    def __call__(self, read_only: bool = False) -> Any:
        return self

    def __enter__(self) -> MemoryUnits:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def commit(self) -> None:
        self.n_commits += 1
