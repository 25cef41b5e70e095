"""Puts an archive back: everything is checked before anything is touched, and what was there is moved aside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters import process_records
from damageloop.adapters.backup.archive import check, read_manifest, unpack
from damageloop.adapters.backup.database_dump import (
    DUMP_FILES,
    dump,
    has_tables,
    kind_of,
    load_postgres,
    require_postgres_tools,
)
from damageloop.adapters.database.migrate import is_current, known_revisions, sqlite_file
from damageloop.adapters.supervisor import Supervisor
from damageloop.adapters.workspace import cache_dir, write_local_config
from damageloop.bootstrap.backup_places import ASIDE, DATABASE, DVC_CACHE, IMAGES, KEPT, WORKSPACE, places
from damageloop.bootstrap.core import Core
from damageloop.domain.backup import POSTGRESQL, BackupManifest, refusal
from damageloop.errors import ConflictError, DamageloopError, UnavailableError
from damageloop.settings import Settings

Say = Callable[[str], None]
# Takes the bytes that are done and the bytes of all.
Told = Callable[[int, int], None]
_STAGING = ".restoring"
_SIDES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. `aside` holds what was there before; None when nothing was."""

    manifest: BackupManifest
    aside: Path | None


def verify_archive(archive: Path, told: Told) -> BackupManifest:
    """Check every hash of an archive and return what it says of itself. Raises NotFoundError, InvalidInputError."""
    manifest = read_manifest(archive)
    check(archive, manifest, _counter(told, manifest.n_bytes))
    return manifest


def restore(settings: Settings, archive: Path, may_replace: bool, say: Say, told: Told) -> Restored:
    """Put a platform back where these settings say; ports and paths are those of the settings, not of the archive.

    Args:
        settings: Where everything shall be.
        archive: What `back_up` wrote.
        may_replace: A platform that is there already may be moved aside; nothing of it is deleted.
        say: Takes sentences about what the archive does not hold.
        told: Takes progress in bytes: everything is read twice.

    Raises:
        NotFoundError, InvalidInputError: If the archive is missing or damaged; nothing was touched.
        ConflictError: If the platform runs, the place is taken, or the archive does not fit; nothing was touched.
        UnavailableError: If the disk is full or PostgreSQL fails; the sentence says what was touched.
    """
    archive = archive.expanduser().absolute()
    manifest = _fitting(settings, archive)
    require_stopped(settings)
    taken = _taken(settings, manifest)
    if taken and not may_replace:
        raise ConflictError(
            f"{taken[0]} holds a platform already: --yes moves it aside, or name an empty DAMAGELOOP_HOME."
        )
    counter = _counter(told, 2 * manifest.n_bytes)
    check(archive, manifest, counter)
    parts = _parts(settings, manifest, say)
    with staged(settings, archive, manifest, parts, counter) as staging:
        aside = _aside(settings, Core(settings).clock.now().strftime("%Y%m%d-%H%M%S")) if taken else None
        try:
            if aside:
                _move_away(settings, manifest, aside)
            put_in_place(settings, manifest, staging, parts)
        except DamageloopError as exc:
            raise UnavailableError(f"{exc} What was there before lies in {aside}.") from exc
    _account(settings, archive, manifest)
    return Restored(manifest, aside)


def _parts(settings: Settings, manifest: BackupManifest, say: Say) -> list[str]:
    """Return what can be put back here, and say what can't."""
    for part, reason in manifest.left_out.items():
        say(f"{part}: not in the archive ({reason})")
    found = places(settings)
    elsewhere = [part for part in manifest.parts if part != DATABASE and found.folder(part) is None]
    for part in elsewhere:
        say(f"{part}: in the archive, but these settings keep it elsewhere ({found.outside.get(part)}); not put back")
    return [part for part in manifest.parts if part not in elsewhere]


def require_stopped(settings: Settings) -> None:
    """Raise ConflictError while processes of this home run."""
    run = settings.root / "run"
    # Without its programs: listing them would make folders.
    if Supervisor(run, (), lambda _: None).is_running() or process_records.survivors(run / "processes.json"):
        raise ConflictError("The platform runs; `damageloop down` stops it.")


@contextmanager
def staged(
    settings: Settings, archive: Path, manifest: BackupManifest, parts: Collection[str], counter: Callable[[int], None]
) -> Iterator[Path]:
    """Unpack parts into a folder of the home, one for each, and yield it; it goes in the end."""
    staging = settings.root / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    needed = sum(file.size for file in manifest.files if file.name.partition("/")[0] in parts)
    try:
        for part in parts:
            (staging / part).mkdir(parents=True)
        free = shutil.disk_usage(staging).free
        if free < needed:
            raise UnavailableError(
                f"{settings.root} has {free / 1024**3:.1f} GiB free and the archive takes {needed / 1024**3:.1f} GiB; "
                "nothing was touched."
            )
        unpack(archive, manifest, {part: staging / part for part in parts}, counter)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def put_in_place(settings: Settings, manifest: BackupManifest, staging: Path, parts: Collection[str]) -> None:
    """Move unpacked parts to where the settings say. What was there must be gone; PostgreSQL's tables are replaced."""
    dump_file = staging / DATABASE / DUMP_FILES[manifest.database]
    if DATABASE in parts and dump_file.exists():
        if manifest.database == POSTGRESQL:
            load_postgres(settings.database, dump_file)
        else:
            _move(dump_file, Path(str(sqlite_file(settings.database))))
    found = places(settings)
    for part in parts:
        folder = found.folder(part)
        if folder is not None and part != DVC_CACHE:
            _move_children(staging / part, folder)
    if DVC_CACHE in parts:
        _move_children(staging / DVC_CACHE, cache_dir(settings.workspace_dir))
    if settings.secrets_dir.exists():
        settings.secrets_dir.chmod(0o700)
    if (settings.workspace_dir / ".dvc").exists():
        write_local_config(settings.workspace_dir, settings.dvc_remote, cache_dir(settings.workspace_dir))


def _fitting(settings: Settings, archive: Path) -> BackupManifest:
    manifest = read_manifest(archive)
    reason = refusal(manifest, kind_of(settings.database), known_revisions())
    if reason:
        raise ConflictError(reason)
    if manifest.database == POSTGRESQL:
        require_postgres_tools(settings.database)
    return manifest


def _taken(settings: Settings, manifest: BackupManifest) -> list[str]:
    """Return what a restore would replace."""
    found = [str(path) for path in _folders_to_empty(settings, manifest) if path.is_dir() and _to_move(path, manifest)]
    if has_tables(settings.database):
        found.append("The database")
    return found


def _folders_to_empty(settings: Settings, manifest: BackupManifest) -> list[Path]:
    """Return the home, and the folders of parts that lie outside of it."""
    trees = [tree for tree in places(settings).trees if tree.part in manifest.parts]
    outside = [tree.folder for tree in trees if not tree.folder.is_relative_to(settings.root)]
    return [settings.root, *outside]


def _to_move(folder: Path, manifest: BackupManifest) -> list[Path]:
    kept = KEPT if IMAGES in manifest.parts else KEPT | {IMAGES}
    return [path for path in folder.iterdir() if path.name not in kept and not path.name.startswith((ASIDE, _STAGING))]


def _aside(settings: Settings, moment: str) -> Path:
    return settings.root / f"{ASIDE}{moment}"


def _move_away(settings: Settings, manifest: BackupManifest, aside: Path) -> None:
    """Move everything that is there into `aside`, or beside where it lies when that is outside the home."""
    aside.mkdir(mode=0o700)
    if manifest.database == POSTGRESQL and has_tables(settings.database):
        dump(settings.database, aside)
    for folder in _folders_to_empty(settings, manifest):
        target = aside if folder == settings.root else folder / aside.name
        for path in _to_move(folder, manifest) if folder.is_dir() else []:
            _move(path, target / path.name)
    file = sqlite_file(settings.database)
    for side in _SIDES if file else ():
        path = Path(f"{file}{side}")
        if path.exists():
            _move(path, aside / path.name)


def _move_children(source: Path, target: Path) -> None:
    for path in source.iterdir():
        _move(path, target / path.name)


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A rename; a copy where the target is on another disk.
        shutil.move(source, target)
    except (OSError, shutil.Error) as exc:
        raise UnavailableError(f"{source} could not be moved to {target}: {exc}.") from exc


def _counter(told: Told, total: int) -> Callable[[int], None]:
    done = 0

    def count(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        told(min(done, total), total)

    return count


def _account(settings: Settings, archive: Path, manifest: BackupManifest) -> None:
    if is_current(settings.database):
        core = Core(settings)
        detail = {"file": str(archive), "made_at": manifest.created_at}
        with core.units() as work:
            work.audit.add("command line", "restore", archive.name, detail, core.clock.now())
            work.commit()


def exchange(settings: Settings, archive: Path, parts: Collection[str]) -> None:
    """Put some parts back as they were when the archive was made, in place of what is there now, which goes.

    For an upgrade that failed: the archive was made minutes ago, and nothing has run since.
    """
    manifest = read_manifest(archive)
    with staged(settings, archive, manifest, parts, lambda _: None) as staging:
        old = staging / "old"
        old.mkdir()
        for part in parts:
            _move_part(settings, part, old / part)
        cache = old / WORKSPACE / ".dvc" / "cache"
        if cache.exists():
            # Not in the workspace's part, and the same before and after.
            os.renames(cache, staging / WORKSPACE / ".dvc" / "cache")
        put_in_place(settings, manifest, staging, parts)


def _move_part(settings: Settings, part: str, target: Path) -> None:
    folder = places(settings).folder(part)
    if folder is not None and folder.exists():
        for path in list(folder.iterdir()):
            _move(path, target / path.name)
    file = sqlite_file(settings.database) if part == DATABASE else None
    for side in _SIDES if file else ():
        path = Path(f"{file}{side}")
        if path.exists():
            _move(path, target / path.name)
