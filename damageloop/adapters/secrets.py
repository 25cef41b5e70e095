"""Secrets as files that only their owner can read. Never logs, prints or caches a value."""

from __future__ import annotations

import os
import secrets
import stat
import uuid
from pathlib import Path

from damageloop.errors import ConflictError, InvalidInputError, NotFoundError

FOLDER_MODE = 0o700
FILE_MODE = 0o600
# Where there is one, the ML backend answers only who sends it.
ML_BACKEND_PASSWORD = "ml-backend-password"  # noqa: S105 (a file name)


class Secrets:
    """Named secrets below one folder.

    Args:
        folder: Made on the first `ensure`, for the owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return where the secret is kept. Raises InvalidInputError for a name that is no plain file name."""
        if not name or name != Path(name).name or name.startswith("."):
            raise InvalidInputError(f"{name!r} cannot name a secret.")
        return self._folder / name

    def ensure(self, name: str, nbytes: int = 32) -> str:
        """Return the secret, made from `nbytes` random bytes if there is none yet.

        Two callers at once get the same value.

        Raises:
            ConflictError: If others than the owner may read the file or enter the folder.
        """
        if not self.path(name).exists():
            self._create(name, secrets.token_urlsafe(nbytes))
        return self.read(name)

    def write(self, name: str, value: str) -> None:
        """Store a secret that came from elsewhere, whole or not at all, in place of any earlier one."""
        draft = self._draft(name, value)
        os.replace(draft, self.path(name))

    def read(self, name: str) -> str:
        """Return the secret.

        Raises:
            NotFoundError: If there is none.
            ConflictError: If others than the owner may read the file or enter the folder.
        """
        path = self.path(name)
        if not path.is_file():
            raise NotFoundError(f"There is no secret {name!r} in {self._folder}; `damageloop init` makes it.")
        _require_private(self._folder, FOLDER_MODE)
        _require_private(path, FILE_MODE)
        return path.read_text(encoding="utf-8").strip()

    def read_if_there(self, name: str) -> str | None:
        """Return the secret, None where there is none. Raises ConflictError as `read` does."""
        return self.read(name) if self.path(name).is_file() else None

    def _create(self, name: str, value: str) -> None:
        draft = self._draft(name, value)
        try:
            os.link(draft, self.path(name))  # fails where another caller was faster, and theirs stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()

    def _draft(self, name: str, value: str) -> Path:
        path = self.path(name)
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        _require_private(self._folder, FOLDER_MODE)
        draft = path.with_name(f".{name}.{uuid.uuid4().hex}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        return draft


def _require_private(path: Path, wanted: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ConflictError(
            f"{path} may be read by others (mode {mode:o}); run `chmod {wanted:o} {path}`"
            " and renew what it holds if others have seen it."
        )
