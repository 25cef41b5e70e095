"""Release folders, which serving processes load: published whole or not at all, verified when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from damageloop.adapters.durable import sync_folder
from damageloop.domain.release import MANIFEST, ReleaseManifest, manifest_from_json, manifest_to_json
from damageloop.errors import ConflictError, DamageloopError, InvalidInputError, NotFoundError, UnavailableError

# The manifest's own hash, over the rest of it: thresholds decide prices, and no other file's hash covers them.
MANIFEST_HASH = "manifest_sha256"
# What a killed process left half-written is thrown away when it is older than any publishing takes.
_LEFTOVER_AFTER_S = 3600.0
_CHUNK_BYTES = 2**20


class FolderReleaseStore:
    """`ReleaseStore` in a local folder: `<root>/<version>/manifest.json` and the files it names."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(str(root).removeprefix("file://"))

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        """Copy files and write the manifest with their hashes; publishing the same again changes nothing.

        A worker that was killed and runs again may have opened another run, and times are never the same twice: where
        it came from and what was measured is told by the first.

        Raises:
            ConflictError: If the version exists with other content: a release never changes.
            UnavailableError: If the disk fails or is full; nothing half-written stays.
        """
        _check_names(files)
        with self._beside(version) as temporary:
            hashes = {name: _copy(path, temporary / name) for name, path in sorted(files.items())}
            complete = replace(manifest, model_version=version, files=hashes)
            _write_manifest(temporary / MANIFEST, complete)
            return self._move_into_place(temporary, version, complete)

    def repair(self, version: int, files: Mapping[str, Path], hashes: Mapping[str, str]) -> ReleaseManifest:
        """Put a whole release in the place of a damaged one, from copies of its own files and no others.

        The manifest is the one that is there, or, where that is damaged, the copy among `files`. `hashes` says what is
        known of the files elsewhere.

        Raises:
            NotFoundError: If there is no manifest, here or among the copies.
            ConflictError: If a copy is missing or is not what was released.
        """
        manifest = self._manifest_for_repair(version, files)
        for name, expected in manifest.files.items():
            if name not in files or hashes.get(name, expected) != expected or _hash(files[name]) != expected:
                raise ConflictError(
                    f"The copy of {name} is not the file that was released as version {version}: restore the release "
                    "from a backup, or serve another version."
                )
        with self._beside(version) as temporary:
            for name in manifest.files:
                _copy(files[name], temporary / name)
            _write_manifest(temporary / MANIFEST, manifest)
            self._replace(temporary, version)
        return manifest

    def manifest(self, version: int) -> ReleaseManifest:
        """Return the manifest.

        Raises:
            NotFoundError: If there is no such release.
            ConflictError: If it is damaged.
        """
        return _read_manifest(self._root / str(version) / MANIFEST, version)

    def folder(self, version: int) -> Path:
        """Return a local folder whose files were verified against the manifest.

        Raises:
            NotFoundError: If there is no such release.
            ConflictError: If a file is missing or its hash differs.
        """
        folder = self._root / str(version)
        for name, expected in self.manifest(version).files.items():
            if not _is_whole(folder / name, expected):
                raise ConflictError(_damaged(name, version))
        return folder

    @contextmanager
    def _beside(self, version: int) -> Iterator[Path]:
        """Give a new folder beside the releases, which is gone afterwards unless it was moved."""
        temporary = self._root / f".{version}.{uuid.uuid4().hex}"
        try:
            temporary.mkdir(parents=True)
            self._throw_leftovers_away()
            yield temporary
        except OSError as exc:
            raise UnavailableError(f"Release {version} could not be written: {exc.strerror or exc}.") from exc
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _throw_leftovers_away(self) -> None:
        before = time.time() - _LEFTOVER_AFTER_S
        for path in self._root.glob(".*.*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path, ignore_errors=True)

    def _move_into_place(self, temporary: Path, version: int, complete: ReleaseManifest) -> ReleaseManifest:
        target = self._root / str(version)
        sync_folder(temporary)
        try:
            os.rename(temporary, target)
        except OSError:  # a folder that holds something is never replaced
            if not target.is_dir():
                raise
            known = self.manifest(version)
            if replace(known, source={}, card={}) != replace(complete, source={}, card={}):
                raise ConflictError(
                    f"Release {version} exists with other content and never changes: publish a new version."
                ) from None
            self.folder(version)
            return known
        sync_folder(self._root)
        return complete

    def _replace(self, temporary: Path, version: int) -> None:
        """Put the folder in the place of the damaged one; who loads in between finds none, and tries again."""
        target = self._root / str(version)
        aside = self._root / f".{version}.{uuid.uuid4().hex}"
        sync_folder(temporary)
        if target.exists():
            os.rename(target, aside)
        os.rename(temporary, target)
        sync_folder(self._root)
        shutil.rmtree(aside, ignore_errors=True)

    def _manifest_for_repair(self, version: int, files: Mapping[str, Path]) -> ReleaseManifest:
        try:
            return self.manifest(version)
        except DamageloopError:
            if MANIFEST not in files:
                raise
        return _read_manifest(files[MANIFEST], version)


def _check_names(files: Mapping[str, Path]) -> None:
    for name in files:
        if Path(name).name != name or name in ("", MANIFEST):
            raise InvalidInputError(f"A release cannot hold a file called {name!r}.")


def _read_manifest(path: Path, version: int) -> ReleaseManifest:
    try:
        content = json.loads(path.read_text())
        # Manifests from before it was written have none.
        expected = content.pop(MANIFEST_HASH, None)
        manifest = manifest_from_json(content)
    except FileNotFoundError as exc:
        raise NotFoundError(f"There is no release of version {version}.") from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:  # no JSON, or not that of a manifest
        raise ConflictError(_damaged(MANIFEST, version)) from exc
    if manifest.model_version != version or expected not in (None, _content_hash(content)):
        raise ConflictError(_damaged(MANIFEST, version))
    return manifest


def _write_manifest(path: Path, manifest: ReleaseManifest) -> None:
    content = manifest_to_json(manifest)
    content[MANIFEST_HASH] = _content_hash(content)
    with path.open("w") as stream:
        stream.write(json.dumps(content, indent=2, sort_keys=True) + "\n")
        _to_disk(stream)


def _content_hash(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _copy(source: Path, target: Path) -> str:
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, _CHUNK_BYTES)
        _to_disk(writing)
    return _hash(target)


def _to_disk(stream: IO[Any]) -> None:
    # A machine that loses its power must not leave a release with the right names and empty files.
    stream.flush()
    os.fsync(stream.fileno())


def _is_whole(path: Path, expected: str) -> bool:
    try:
        return _hash(path) == expected
    except OSError:
        # Missing, or on a disk that can't read it any more: one is as bad as the other.
        return False


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(name: str, version: int) -> str:
    return (
        f"File {name} of release {version} is damaged or missing: `damageloop models repair {version}` fetches it "
        "again, or serve another version."
    )
