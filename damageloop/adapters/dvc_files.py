"""Reads what DVC tracks at a revision: from the cache, or from the remote where the cache lacks it.

It needs git and no dvc, so that a process that must not load dvc can read snapshots too, and it takes milliseconds
where dvc takes a second to start. Every file is named by the hash of its bytes, which is checked.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from damageloop.adapters.file_tree import FileTree
from damageloop.adapters.git import Git
from damageloop.errors import NotFoundError, UnavailableError

_FOLDER = ".dir"


class DvcFiles:
    """Folders that DVC tracks in one repository.

    Args:
        git: The repository.
        cache: DVC's cache.
        remote_url: DVC's remote.
    """

    def __init__(self, git: Git, cache: Path, remote_url: str) -> None:
        self._git = git
        self._cache = cache
        self._remote_url = remote_url

    def read(self, revision: str, folder: str) -> dict[str, bytes]:
        """Return the files of a tracked folder at a revision, by their names in it.

        Raises:
            UnavailableError: If neither cache nor remote has one, or its bytes are not what they were.
        """
        return {item["relpath"]: self._object(item["md5"]) for item in self._listing(revision, folder)}

    def lacking(self, revision: str, folder: str) -> list[str]:
        """Return which of the folder's files the remote lacks, `.` for the list of them; all there gives none."""
        remote = FileTree(self._remote_url, "DVC remote")
        names = {".": self._md5(revision, folder), **{i["relpath"]: i["md5"] for i in self._listing(revision, folder)}}
        return [name for name, md5 in names.items() if remote.size(_key(md5)) is None]

    def _listing(self, revision: str, folder: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self._object(self._md5(revision, folder)))
        return found

    def _md5(self, revision: str, folder: str) -> str:
        pointer: Any = yaml.safe_load(self._git("show", f"{revision}:{folder}.dvc"))
        return str(pointer["outs"][0]["md5"])

    def _object(self, md5: str) -> bytes:
        key = _key(md5)
        content = self._cached(key)
        if content is None:
            content = self._remote(key)
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5.removesuffix(_FOLDER):
            raise UnavailableError(f"DVC's {key} is damaged: `damageloop restore` brings it back from a backup.")
        return content

    def _cached(self, key: str) -> bytes | None:
        try:
            return (self._cache / key).read_bytes()
        except OSError:
            return None

    def _remote(self, key: str) -> bytes:
        try:
            return FileTree(self._remote_url, "DVC remote").read(key)
        except NotFoundError as exc:
            raise UnavailableError(f"Neither DVC's cache nor its remote has {key}.") from exc


def _key(md5: str) -> str:
    return f"files/md5/{md5[:2]}/{md5[2:]}"
