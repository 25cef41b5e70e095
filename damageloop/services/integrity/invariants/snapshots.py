"""Snapshots: database, git and DVC tell of the same ones, and none is half-written."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.job import JobKind
from damageloop.ports import SnapshotStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.integrity.invariants.jobs import is_under_way


def rows_and_tags_agree(work: UnitOfWork, store: SnapshotStore) -> Iterator[str]:
    """Yield tags that one side alone has, or that lie at another commit than their row says."""
    rows, tags = {s.git_tag: s.git_commit for s in work.snapshots.all()}, set(store.tags())
    unrecorded = set() if is_under_way(work, JobKind.BUILD_SNAPSHOT) else tags - rows.keys()
    for tag in sorted((rows.keys() - tags) | unrecorded):
        yield f"{tag} is only in {'the database' if tag in rows else 'the workspace'}"
    for tag in sorted(rows.keys() & tags):
        commit = store.written(tag).git_commit
        if commit != rows[tag]:
            yield f"{tag} is at commit {commit[:12]}, its row says {rows[tag][:12]}"


def data_is_kept(work: UnitOfWork, store: SnapshotStore) -> Iterator[str]:
    """Yield snapshots of which DVC's remote lacks data."""
    tags = set(store.tags())
    for snapshot in work.snapshots.all():
        if snapshot.git_tag in tags and not store.is_pushed(snapshot.git_tag):
            yield f"{snapshot.git_tag}: DVC's remote lacks some of its data; `dvc push` in the workspace brings it"


def none_half_written(work: UnitOfWork, store: SnapshotStore) -> Iterator[str]:
    """Yield what a broken write left in the workspace."""
    if not is_under_way(work, JobKind.BUILD_SNAPSHOT):
        yield from store.leftovers()
