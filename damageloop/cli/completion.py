"""What the shell offers for an argument: a few names from the database, and nothing on trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from damageloop.errors import DamageloopError

if TYPE_CHECKING:
    from damageloop.ports.persistence import UnitOfWork

# Who has more than these types a little more of the name.
_MOST = 50


def subset_names(incomplete: str) -> list[str]:
    """Return names of saved subsets."""
    return _offered(incomplete, lambda work: [subset.name for subset in work.subsets.all()])


def snapshot_names(incomplete: str) -> list[str]:
    """Return tags of snapshots, newest first."""
    return _offered(incomplete, lambda work: [s.git_tag for s in reversed(work.snapshots.all())])


def model_versions(incomplete: str) -> list[str]:
    """Return model versions, newest first."""
    return _offered(incomplete, lambda work: [str(model.version) for model in reversed(work.models.all())])


def round_numbers(incomplete: str) -> list[str]:
    """Return numbers of rounds, newest first."""
    return _offered(incomplete, lambda work: [str(found.id) for found in reversed(work.rounds.all())])


def job_numbers(incomplete: str) -> list[str]:
    """Return numbers of the newest jobs."""
    return _offered(incomplete, lambda work: [str(job.id) for job in work.jobs.all(_MOST)])


def _offered(incomplete: str, read: Callable[[UnitOfWork], list[str]]) -> list[str]:
    from damageloop.bootstrap.database import make_unit_of_work_factory
    from damageloop.settings import Settings

    try:
        settings = Settings()
        if not settings.params_file.exists():
            return []
        with make_unit_of_work_factory(settings)(read_only=True) as work:
            names = read(work)
    except DamageloopError:
        # A shell has nowhere to put an error: the command itself will say it.
        return []
    return [name for name in names if name.startswith(incomplete)][:_MOST]
