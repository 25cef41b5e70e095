"""What an archive of a whole platform says about itself. Pure: reads and writes no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from damageloop.errors import InvalidInputError

# Rises when an older release can't read the archive any more.
FORMAT = 1
SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of an archive: `<part>/<path below it>`, its bytes and their hash."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What an archive holds.

    Attributes:
        format: Of the archive itself.
        product_version: Release that wrote it.
        revision: Of the database; None when it had no tables.
        database: `sqlite` or `postgresql`: an archive is restored to the kind that it came from.
        created_at: When the database was copied, in UTC by ISO 8601. Everything else is at least as new.
        parts: What is inside, such as `database`, `images`, `label-studio`.
        left_out: What is not, each with the reason, for people.
        settings: Names of the environment variables that were set; no values, since some are secrets.
        files: All files, in the order in which they lie in the archive.
    """

    format: int
    product_version: str
    revision: str | None
    database: str
    created_at: str
    parts: tuple[str, ...]
    left_out: Mapping[str, str]
    settings: tuple[str, ...]
    files: tuple[ArchivedFile, ...]

    @property
    def n_bytes(self) -> int:
        """Return the size of all files together."""
        return sum(file.size for file in self.files)


def manifest_to_json(manifest: BackupManifest) -> dict[str, Any]:
    """Return what is written into the archive."""
    return {**asdict(manifest), "files": [[file.name, file.size, file.sha256] for file in manifest.files]}


def manifest_from_json(content: Any) -> BackupManifest:
    """Return the manifest that was read.

    Raises:
        InvalidInputError: If it is none, or of a format that this release does not know.
    """
    try:
        if content["format"] > FORMAT:
            raise InvalidInputError(
                f"The archive was written by damageloop {content['product_version']}, which is newer than this release."
            )
        files = tuple(ArchivedFile(str(name), int(size), str(sha256)) for name, size, sha256 in content["files"])
        known = {**content, "files": files, "parts": tuple(content["parts"]), "settings": tuple(content["settings"])}
        return BackupManifest(**known)
    except (KeyError, TypeError, ValueError) as exc:
        raise InvalidInputError("The archive's manifest can't be read: it is no backup of damageloop.") from exc


def refusal(manifest: BackupManifest, database: str, known_revisions: Sequence[str]) -> str | None:
    """Return why an archive can't be restored by this release to a database of this kind; None when it can."""
    if manifest.database != database:
        return (
            f"The archive holds a {manifest.database} database and DAMAGELOOP_DATABASE_URL names a {database} one: "
            "restore to the kind that it came from."
        )
    if manifest.revision is not None and manifest.revision not in known_revisions:
        return (
            f"The archive's database is at revision {manifest.revision}, of a newer release than this one: "
            f"install damageloop {manifest.product_version} or newer."
        )
    return None
