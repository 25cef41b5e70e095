"""The mending of releases, for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from damageloop.bootstrap.core import Core
from damageloop.services.models.repair_release import RepairRelease


def make_repair_release(core: Core) -> RepairRelease:
    """Return the service; what it fetches lies below `DAMAGELOOP_HOME` meanwhile, where there is room for models."""

    @contextmanager
    def new_folder() -> Iterator[Path]:
        with TemporaryDirectory(prefix=".repair-", dir=core.settings.root) as name:
            yield Path(name)

    return RepairRelease(core.units, core.registry, core.releases, core.clock, new_folder)
