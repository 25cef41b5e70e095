"""Mend a damaged release: fetch the files of its training's run from the registry and publish them anew."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from damageloop.errors import ConflictError, DamageloopError
from damageloop.ports import Clock, ModelRegistry, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.models.make_champion import check_release

REPAIR = "models.repair"


@dataclass(frozen=True, slots=True)
class RepairRelease:
    """Repairs one release; a whole one is left as it is.

    Attributes:
        new_folder: Gives an empty folder that is gone afterwards, for what is fetched.
    """

    units: UnitOfWorkFactory
    registry: ModelRegistry
    releases: ReleaseStore
    clock: Clock
    new_folder: Callable[[], AbstractContextManager[Path]]

    def __call__(self, version: int, asked_by: str) -> str:
        """Return in a sentence what was done.

        Raises:
            NotFoundError: If there is no such version, or the registry has lost its files.
            ConflictError: If the registry's files are not those that were released.
            UnavailableError: If the registry does not answer, or the disk fails.
        """
        with self.units(read_only=True) as work:
            model = work.models.get(version)
        damage = self._damage(version)
        if damage is None:
            return f"Release {version} is whole; nothing was changed."
        if self.registry.known_as(model.mlflow_version) != version:
            raise ConflictError(
                f"MLflow does not know version {version} any more, so its files can't be fetched: restore the release "
                "from a backup, or serve another version."
            )
        hashes = self.registry.file_hashes(model.mlflow_version)
        with self.new_folder() as folder:
            self.releases.repair(version, self.registry.download(model.mlflow_version, folder), hashes)
        files = check_release(self.releases, version)
        with self.units() as work:
            work.audit.add(asked_by, REPAIR, f"model {version}", {"damage": damage}, self.clock.now())
            work.commit()
        return f"Release {version} was fetched from MLflow and is whole again: {files}. Serving takes it by itself."

    def _damage(self, version: int) -> str | None:
        try:
            check_release(self.releases, version)
        except DamageloopError as exc:
            return str(exc)
        return None
