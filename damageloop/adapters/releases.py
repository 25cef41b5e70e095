"""Release folders, which serving processes load: published whole or not at all, verified when read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from damageloop.domain.release import ReleaseManifest, manifest_from_json, manifest_to_json
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError

MANIFEST = "manifest.json"


class FolderReleaseStore:
    """`ReleaseStore` in a local folder: `<root>/<version>/manifest.json` and the files it names."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(str(root).removeprefix("file://"))

    def publish(self, version: int, files: Mapping[str, Path], manifest: ReleaseManifest) -> ReleaseManifest:
        """Copy files and write the manifest with their hashes; publishing the same again changes nothing.

        A worker that was killed and runs again may have opened another run: where it came from is told by the first.

        Raises:
            ConflictError: If the version exists with other content: a release never changes.
            UnavailableError: If the disk fails.
        """
        _check_names(files)
        temporary = self._root / f".{version}.{uuid.uuid4().hex}"
        try:
            temporary.mkdir(parents=True)
            hashes = {name: _copy(path, temporary / name) for name, path in sorted(files.items())}
            complete = replace(manifest, model_version=version, files=hashes)
            _write_manifest(temporary / MANIFEST, complete)
            return self._move_into_place(temporary, version, complete)
        except OSError as exc:
            raise UnavailableError(f"Release {version} could not be written: {exc.strerror or exc}.") from exc
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def manifest(self, version: int) -> ReleaseManifest:
        """Return the manifest. Raises NotFoundError."""
        try:
            return manifest_from_json(json.loads((self._root / str(version) / MANIFEST).read_text()))
        except FileNotFoundError as exc:
            raise NotFoundError(f"There is no release of version {version}.") from exc
        except (ValueError, KeyError, TypeError, AttributeError) as exc:  # no JSON, or not that of a manifest
            raise ConflictError(_damaged(MANIFEST, version)) from exc

    def folder(self, version: int) -> Path:
        """Return a local folder whose files were verified against the manifest.

        Raises:
            NotFoundError: If there is no such release.
            ConflictError: If a file is missing or its hash differs.
        """
        folder = self._root / str(version)
        for name, expected in self.manifest(version).files.items():
            path = folder / name
            if not path.is_file() or _hash(path) != expected:
                raise ConflictError(_damaged(name, version))
        return folder

    def _move_into_place(self, temporary: Path, version: int, complete: ReleaseManifest) -> ReleaseManifest:
        target = self._root / str(version)
        try:
            os.rename(temporary, target)
        except OSError:  # a folder that holds something is never replaced
            if not target.is_dir():
                raise
            known = self.manifest(version)
            if replace(known, source={}) != replace(complete, source={}):
                raise ConflictError(
                    f"Release {version} exists with other content and never changes: publish a new version."
                ) from None
            self.folder(version)
            return known
        return complete


def _check_names(files: Mapping[str, Path]) -> None:
    for name in files:
        if Path(name).name != name or name in ("", MANIFEST):
            raise InvalidInputError(f"A release cannot hold a file called {name!r}.")


def _write_manifest(path: Path, manifest: ReleaseManifest) -> None:
    path.write_text(json.dumps(manifest_to_json(manifest), indent=2, sort_keys=True) + "\n")


def _copy(source: Path, target: Path) -> str:
    shutil.copyfile(source, target)
    return _hash(target)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _damaged(name: str, version: int) -> str:
    return f"File {name} of release {version} is damaged or missing: restore it, or serve another version."
