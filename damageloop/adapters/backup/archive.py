"""One tar file with the hash of everything in it: written whole or not at all, checked before it is believed.

Not compressed: photos and weights would get no smaller. The manifest comes last, when all hashes are known, and after
it the manifest's own hash: a file that was cut off has neither.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from damageloop.domain.backup import ArchivedFile, BackupManifest, manifest_from_json, manifest_to_json
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError

MANIFEST, SEAL = "manifest.json", "manifest.sha256"
# Takes the bytes that were done since it was last called.
Progress = Callable[[int], None]
_CHUNK = 1 << 20


class ArchiveWriter:
    """Adds files to a tar file and remembers their hashes."""

    def __init__(self, tar: tarfile.TarFile, progress: Progress) -> None:
        self._tar = tar
        self._progress = progress
        self.files: list[ArchivedFile] = []

    def add(self, name: str, path: Path) -> None:
        """Add a file as it is at this moment.

        Raises:
            FileNotFoundError: If it is gone.
            UnavailableError: If it got shorter while it was read.
        """
        with path.open("rb") as stream:
            info = self._info(name, os.fstat(stream.fileno()))
            hashed = _Hashing(stream, self._progress)
            try:
                self._tar.addfile(info, hashed)  # it needs `read` alone
            except OSError as exc:
                if exc.errno is not None:
                    raise
                raise UnavailableError(f"{path} changed while it was read; try again.") from exc
        self.files.append(ArchivedFile(name, info.size, hashed.hexdigest()))

    def add_folder(self, name: str, path: Path) -> None:
        """Add a folder without what is in it; git needs some that are empty."""
        info = self._info(name, path.stat())
        info.type, info.size = tarfile.DIRTYPE, 0
        self._tar.addfile(info)

    def seal(self, manifest: BackupManifest) -> None:
        """End the archive; nothing can be added afterwards."""
        content = json.dumps(manifest_to_json(manifest)).encode()
        self._add_bytes(MANIFEST, content)
        self._add_bytes(SEAL, hashlib.sha256(content).hexdigest().encode())

    def _add_bytes(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))

    @staticmethod
    def _info(name: str, status: os.stat_result) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), status.st_mode & 0o777
        return info


@contextmanager
def written_archive(part: Path, progress: Progress) -> Iterator[ArchiveWriter]:
    """Yield a writer of a new file that only its owner can read. Whoever calls renames it, or removes it.

    Raises:
        UnavailableError: If the disk is full or fails.
    """
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar, progress)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise UnavailableError(f"The backup could not be written: {exc.strerror or exc}.") from exc


def read_manifest(archive: Path) -> BackupManifest:
    """Return what an archive says about itself; what it holds is not looked at.

    Raises:
        NotFoundError: If there is no such file.
        InvalidInputError: If it is no archive of ours, or one that was cut off.
    """
    with _opened(archive) as tar:
        members = {member.name: member for member in tar}
        if MANIFEST not in members or SEAL not in members:
            raise InvalidInputError(f"{archive.name} has no manifest at its end: it was cut off, or is no backup.")
        content, seal = (_content(tar, members[name]) for name in (MANIFEST, SEAL))
    if hashlib.sha256(content).hexdigest().encode() != seal:
        raise InvalidInputError(f"{archive.name} is damaged: its {MANIFEST} does not fit its hash.")
    return manifest_from_json(json.loads(content))


def check(archive: Path, manifest: BackupManifest, progress: Progress) -> None:
    """Read everything and compare it with the manifest.

    Raises:
        InvalidInputError: If something is missing, is there without being named, or has another hash; names it.
    """
    with _opened(archive) as tar:
        expected = {file.name: file for file in manifest.files}
        for member in tar:
            if member.isdir() or member.name in (MANIFEST, SEAL):
                continue
            file = expected.pop(member.name, None)
            if file is None or not member.isfile() or _digest(tar, member, progress) != file.sha256:
                raise InvalidInputError(f"{archive.name} is damaged: {member.name} is not what was backed up.")
        if expected:
            raise InvalidInputError(f"{archive.name} is damaged: {next(iter(expected))} is missing from it.")


def unpack(archive: Path, manifest: BackupManifest, targets: dict[str, Path], progress: Progress) -> None:
    """Write the files of some parts below the folder given for each; hashes are compared once more.

    Raises:
        InvalidInputError: If a file's hash differs, or its name leads out of its folder.
        UnavailableError: If the disk is full or fails.
    """
    hashes = {file.name: file.sha256 for file in manifest.files}
    try:
        with _opened(archive) as tar:
            for member in tar:
                part, _, path = member.name.partition("/")
                if part not in targets or not (member.isfile() or member.isdir()):
                    continue
                target = _inside(targets[part], path)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    target.chmod(member.mode | 0o700)
                elif _write(tar, member, target, progress) != hashes.get(member.name):
                    raise InvalidInputError(f"{archive.name} is damaged: {member.name} is not what was backed up.")
    except OSError as exc:
        raise UnavailableError(f"The archive could not be unpacked: {exc.strerror or exc}.") from exc


class _Hashing:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream, self._progress, self._hash = stream, progress, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._hash.update(content)
        self._progress(len(content))
        return content

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, mode="r:") as tar:
            yield tar
    except FileNotFoundError as exc:
        raise NotFoundError(f"There is no file {archive}.") from exc
    except (tarfile.TarError, EOFError) as exc:
        raise InvalidInputError(f"{archive.name} is damaged, or is no backup: {exc}.") from exc


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    if stream is None:
        raise InvalidInputError(f"{member.name} is no file.")
    return stream.read()


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo, progress: Progress, sink: Any = None) -> str:
    stream = tar.extractfile(member)
    if stream is None:
        raise InvalidInputError(f"{member.name} is no file.")
    hashed = _Hashing(stream, progress)
    while content := hashed.read(_CHUNK):
        if sink is not None:
            sink.write(content)
    return hashed.hexdigest()


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, progress: Progress) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        digest = _digest(tar, member, progress, file)
    os.utime(target, (member.mtime, member.mtime))
    target.chmod(member.mode & 0o777)
    return digest


def _inside(folder: Path, path: str) -> Path:
    target = folder / path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise ConflictError(f"A file of the archive leads out of its folder: {path}.")
    return target
