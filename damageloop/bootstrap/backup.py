"""A backup of everything in one archive, made while people work.

Nothing is paused. What makes the archive whole is the order: the database first, everything else after it.

- Each step of the platform does its work outside first (an image is stored, a snapshot committed, a run registered, a
  release published) and then says so in the database. So whatever the copied database names is there already, and
  still there later: images, releases, DVC objects and artifacts are never changed.
- What the database says first and is done outside afterwards (a round's tasks, a promotion's steps) is found in it as
  not yet done, and is done or found done, as after a crash at that moment.
- Label Studio after the database: reviews that people hand in meanwhile are in its copy and not in ours, and are read
  again. In the other order Label Studio would be older than the database, which stops snapshots (`restored_tool`).

Two things are held for a moment: nobody writes a snapshot while the workspace is copied, and a SQLite file is read as
of one moment. An image that is forgotten meanwhile would be named by the database and missing, so the backup is
refused then.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from damageloop.adapters.backup.archive import ArchiveWriter, read_manifest, written_archive
from damageloop.adapters.backup.database_dump import dump, has_tables, kind_of
from damageloop.adapters.backup.file_copies import Tree, add_tree, size_of
from damageloop.adapters.database.migrate import is_current, revision_of, sqlite_file
from damageloop.adapters.durable import sync_folder
from damageloop.bootstrap.backup_places import BACKUPS, DATABASE, WORKSPACE, Places, places, settings_that_are_set
from damageloop.bootstrap.core import Core
from damageloop.domain.backup import FORMAT, BackupManifest
from damageloop.errors import ConflictError, UnavailableError
from damageloop.settings import Settings

Say = Callable[[str], None]
# Takes the bytes that are done and the bytes of all.
Told = Callable[[int, int], None]
_WORK = ".damageloop-backup-"
_SPARE_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive that was written."""

    path: Path
    n_bytes: int
    manifest: BackupManifest


def back_up(settings: Settings, target: Path | None, with_images: bool, say: Say, told: Told) -> Backup:
    """Write everything to `target`, or to a new file in the home's folder of backups.

    Args:
        settings: Where everything is.
        target: A file that does not exist yet.
        with_images: Image bytes never change; without them a restore needs the image store as it is.
        say: Takes sentences about what is left out.
        told: Takes progress in bytes.

    Raises:
        ConflictError: If there is nothing to back up, the file exists, or an image was forgotten meanwhile.
        UnavailableError: If a database does not answer, or the disk is full; no half file stays.
    """
    clock = Core(settings).clock
    if not settings.params_file.exists() and not has_tables(settings.database):
        raise ConflictError(f"There is no platform in {settings.root} to back up.")
    archive = _target(settings, target, clock.now())
    found = places(settings, with_images)
    for part, reason in found.outside.items():
        say(f"{part}: {reason}")
    total = _size(settings, found)
    with _work_folder(archive.parent) as work:
        _require_space(archive.parent, total)
        forgotten = _forgotten(settings)
        done = 0

        def progress(n_bytes: int) -> None:
            nonlocal done
            done += n_bytes
            told(min(done, total), total)

        made_at = clock.now()
        with written_archive(work / "archive", progress) as writer:
            revision = revision_of(settings.database)
            _add_database(writer, settings, work)
            for tree in found.trees:
                with _held(settings, tree):
                    add_tree(writer, tree, work, say)
            writer.seal(_manifest(settings, found, made_at, revision, writer))
        if _forgotten(settings) != forgotten:
            raise ConflictError("An image was forgotten while the backup was made, so it was given up; make it again.")
        os.replace(work / "archive", archive)
    sync_folder(archive.parent)
    _account(settings, archive)
    return Backup(archive, archive.stat().st_size, read_manifest(archive))


def _target(settings: Settings, target: Path | None, now: datetime) -> Path:
    archive = (target or settings.root / BACKUPS / f"damageloop-{now:%Y%m%d-%H%M%S}.tar").expanduser().absolute()
    if archive.exists():
        raise ConflictError(f"{archive} exists already; name another file.")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UnavailableError(f"{archive.parent} can't be made: {exc.strerror or exc}.") from exc
    return archive


def _size(settings: Settings, found: Places) -> int:
    file = sqlite_file(settings.database)
    return sum(size_of(tree) for tree in found.trees) + (file.stat().st_size if file and file.exists() else 0)


def _require_space(folder: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < n_bytes + _SPARE_BYTES:
        raise UnavailableError(
            f"{folder} has {free / 1024**3:.1f} GiB free and the backup takes {n_bytes / 1024**3:.1f} GiB: free some "
            "space, name a file on another disk, or leave the images out (--without-images)."
        )


def _add_database(writer: ArchiveWriter, settings: Settings, work: Path) -> None:
    if has_tables(settings.database):
        file = dump(settings.database, work)
        writer.add(f"{DATABASE}/{file.name}", file)
        file.unlink()


@contextmanager
def _held(settings: Settings, tree: Tree) -> Iterator[None]:
    is_repository = tree.part == WORKSPACE and (tree.folder / ".git").exists()
    with Core(settings).snapshots.held() if is_repository else nullcontext():
        yield


def _manifest(
    settings: Settings, found: Places, made_at: datetime, revision: str | None, writer: ArchiveWriter
) -> BackupManifest:
    return BackupManifest(
        format=FORMAT,
        product_version=version("damageloop"),
        revision=revision,
        database=kind_of(settings.database),
        created_at=made_at.isoformat(),
        parts=(DATABASE, *(tree.part for tree in found.trees)),
        left_out=found.outside,
        settings=settings_that_are_set(),
        files=tuple(writer.files),
    )


def _forgotten(settings: Settings) -> set[int]:
    """Return which images are or are being forgotten; older releases could not forget."""
    if not is_current(settings.database):
        return set()
    with Core(settings).units(read_only=True) as work:
        return {redaction.image_id for redaction in work.redactions.all()}


def _account(settings: Settings, archive: Path) -> None:
    if is_current(settings.database):
        core = Core(settings)
        with core.units() as work:
            work.audit.add("command line", "backup", archive.name, {"file": str(archive)}, core.clock.now())
            work.commit()


@contextmanager
def _work_folder(parent: Path) -> Iterator[Path]:
    """Yield a folder beside the archive that goes in the end; those that killed backups left go first."""
    for left in parent.glob(f"{_WORK}*"):
        with (left / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=_WORK, dir=parent))
    try:
        with (work / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
