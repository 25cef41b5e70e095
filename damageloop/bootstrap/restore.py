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
from damageloop.bootstrap.unfinished import begin, end, unfinished
from damageloop.domain.backup import POSTGRESQL, BackupManifest, refusal
from damageloop.errors import ConflictError, DamageloopError, UnavailableError
from damageloop.settings import Settings

Say = Callable[[str], None]
# Takes the bytes that are done and the bytes of all.
Told = Callable[[int, int], None]
# Also the beginning of the note's name (`bootstrap.unfinished`): neither is moved aside.
_STAGING, _OLD = ".restoring", "old"
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

    One that was killed is finished by the same call; what it had moved aside stays there.

    Args:
        settings: Where everything shall be.
        archive: What `back_up` wrote.
        may_replace: A platform that is there already may be moved aside; nothing of it is deleted.
        say: Takes sentences about what the archive does not hold.
        told: Takes progress in bytes: everything is read twice.

    Raises:
        NotFoundError, InvalidInputError: If the archive is missing or damaged; nothing was touched.
        ConflictError: If the platform runs, the place is taken, the archive does not fit, or another one was not put
            back to the end; nothing was touched.
        UnavailableError: If the disk is full or PostgreSQL fails; the sentence says what was touched.
    """
    archive = archive.expanduser().absolute()
    _require_no_other(settings, archive)
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
    earlier = _earlier(settings)
    for folder in earlier:
        say(f"What the unfinished attempt had moved away lies in {folder}.")
    with staged(settings, archive, manifest, parts, counter) as staging:
        aside = _made_aside(settings, manifest) if taken else None
        asides = (*earlier, aside) if aside else earlier
        begin(settings, archive, asides)
        try:
            if aside:
                _move_away(settings, manifest, aside)
            put_in_place(settings, manifest, staging, parts)
        except (DamageloopError, OSError) as exc:
            raise UnavailableError(_stopped(exc, archive, asides)) from exc
    _account(settings, archive, manifest)
    end(settings)
    return Restored(manifest, aside)


def _require_no_other(settings: Settings, archive: Path) -> None:
    """Refuse another archive than the one that was begun: it may hold less. One that is gone can't be asked for."""
    found = unfinished(settings)
    if found is not None and found.archive != archive and found.archive.exists():
        raise ConflictError(found.sentence())


def _earlier(settings: Settings) -> tuple[Path, ...]:
    """Return the folders with what an unfinished attempt moved away; what an upgrade held back becomes one of them."""
    found = unfinished(settings)
    if found is None:
        return ()
    old = settings.root / _STAGING / _OLD
    kept = [path for path in found.asides if path != old and path.exists()]
    if old.exists():
        target = _free_aside(settings)
        _move(old, target)
        target.chmod(0o700)
        kept.append(target)
    return tuple(kept)


def _stopped(cause: Exception, archive: Path, asides: Collection[Path]) -> str:
    before = f" What was there before lies in {', '.join(map(str, asides))}." if asides else ""
    return f"{str(cause).rstrip('.')}. Mend that; `damageloop restore {archive} --yes` then finishes it.{before}"


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
    """Unpack parts into a folder of the home, one for each, and yield it; it goes in the end.

    It stays while it holds what was there before and the new is not all in its place.
    """
    staging = settings.root / _STAGING
    _tidy(settings)
    needed = sum(file.size for file in manifest.files if file.name.partition("/")[0] in parts)
    try:
        try:
            for part in parts:
                (staging / part).mkdir(parents=True)
        except OSError as exc:
            raise UnavailableError(f"{staging} can't be made: {exc.strerror or exc}; nothing was touched.") from exc
        free = shutil.disk_usage(staging).free
        if free < needed:
            raise UnavailableError(
                f"{settings.root} has {free / 1024**3:.1f} GiB free and the archive takes {needed / 1024**3:.1f} GiB; "
                "nothing was touched."
            )
        unpack(archive, manifest, {part: staging / part for part in parts}, counter)
        yield staging
    finally:
        _tidy(settings)


def _tidy(settings: Settings) -> None:
    staging = settings.root / _STAGING
    if not (unfinished(settings) and (staging / _OLD).exists()):
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


def _free_aside(settings: Settings) -> Path:
    name = f"{ASIDE}{Core(settings).clock.now():%Y%m%d-%H%M%S}"
    return next(
        path
        for path in (settings.root / f"{name}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 100))))
        if not path.exists()
    )


def _made_aside(settings: Settings, manifest: BackupManifest) -> Path:
    """Make the folder for what is there, with what PostgreSQL holds; nothing is moved yet."""
    aside = _free_aside(settings)
    try:
        aside.mkdir(mode=0o700)
        if manifest.database == POSTGRESQL and has_tables(settings.database):
            dump(settings.database, aside)
    except (DamageloopError, OSError) as exc:
        shutil.rmtree(aside, ignore_errors=True)
        raise UnavailableError(f"What is there could not be kept in {aside} ({exc}); nothing was touched.") from exc
    return aside


def _move_away(settings: Settings, manifest: BackupManifest, aside: Path) -> None:
    """Move everything that is there into `aside`, or beside where it lies when that is outside the home."""
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

    For an upgrade that failed: the archive was made minutes ago, and nothing has run since. What is there now goes
    only when the old is in its place: until then `restore` with the same archive does it.

    Raises:
        DamageloopError, OSError: If the archive or the disk fails.
    """
    manifest = read_manifest(archive)
    with staged(settings, archive, manifest, parts, lambda _: None) as staging:
        old = staging / _OLD
        old.mkdir()
        begin(settings, archive, [old])
        for part in parts:
            _move_part(settings, part, old / part)
        cache = old / WORKSPACE / ".dvc" / "cache"
        if cache.exists():
            # Not in the workspace's part, and the same before and after.
            os.renames(cache, staging / WORKSPACE / ".dvc" / "cache")
        put_in_place(settings, manifest, staging, parts)
        end(settings)


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
