"""Whether the champion's release can be served, said in one sentence where it can't."""

from __future__ import annotations

from damageloop.domain.promotion import earlier_champions
from damageloop.errors import DamageloopError
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork
from damageloop.services.models.make_champion import check_release


def release_problem(work: UnitOfWork, releases: ReleaseStore) -> str | None:
    """Return why the champion's release can't be served, and what answers instead; None when it is whole.

    Reads all files of the release.
    """
    champion = work.models.champion()
    if champion is None:
        return None
    try:
        check_release(releases, champion.model_version)
    except DamageloopError as exc:
        instead = _instead(work, releases)
        answers = f"Version {instead} answers after a restart" if instead else "Nothing answers after a restart"
        return f"{exc} {answers}; a process that has loaded it answers on."
    return None


def _instead(work: UnitOfWork, releases: ReleaseStore) -> int | None:
    for version in earlier_champions(work.models.promotions()):
        try:
            check_release(releases, version)
        except DamageloopError:
            continue
        return version
    return None
