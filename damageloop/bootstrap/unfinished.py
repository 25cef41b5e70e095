"""The note in a home that files of it are moved away and not yet put back: nothing may build on what is left."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from damageloop.errors import ConflictError, UnavailableError
from damageloop.settings import Settings

_FILE = ".restoring.json"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What was being put back, and the folders with what was there before."""

    archive: Path
    asides: tuple[Path, ...]

    def sentence(self) -> str:
        """Return what is wrong and the command that mends it."""
        return (
            f"Putting {self.archive} back was not finished, so parts of this home are missing: "
            f"`damageloop restore {self.archive} --yes` finishes it."
        )


def unfinished(settings: Settings) -> Unfinished | None:
    """Return what was begun and not ended in this home."""
    try:
        found = json.loads((settings.root / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Unfinished(Path(found["archive"]), tuple(Path(path) for path in found["asides"]))


def require_finished(settings: Settings) -> None:
    """Raise ConflictError, with the command that finishes it, while something is put back only in part."""
    found = unfinished(settings)
    if found is not None:
        raise ConflictError(found.sentence())


def begin(settings: Settings, archive: Path, asides: Sequence[Path]) -> None:
    """Note, before the first file is moved, what is put back. Raises UnavailableError when the disk refuses."""
    file = settings.root / _FILE
    part = file.with_suffix(".part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            json.dump({"archive": str(archive), "asides": [str(path) for path in asides]}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise UnavailableError(f"{file} could not be written: {exc.strerror or exc}; nothing was moved.") from exc


def end(settings: Settings) -> None:
    """Take the note away: all is in its place."""
    (settings.root / _FILE).unlink(missing_ok=True)
