"""Go back to an earlier champion, in one command. What was rolled back from comes again by a person alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from damageloop.domain.promotion import PromotionReason, earlier_champions
from damageloop.errors import ConflictError, DamageloopError
from damageloop.ports import Clock, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.models.make_champion import check_release, make_champion
from damageloop.services.models.promote_by_hand import WHAT_FOLLOWS, ChangedChampion, checked_reason, unchanged

ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Rollback:
    """Makes an earlier champion champion again."""

    units: UnitOfWorkFactory
    releases: ReleaseStore
    clock: Clock
    nudge: Callable[[], None] = lambda: None

    def __call__(self, reason: str, asked_by: str, to: int | None = None) -> ChangedChampion:
        """Go back to the champion before this one, or to the version `to`; done twice it goes back twice.

        With `to` it can be asked again: it says then that this is champion already.

        Raises:
            InvalidInputError: If no reason is given, or one too long.
            ConflictError: If there is no earlier champion, `to` is none, or the release is damaged; then the sentence
                names the next one that is whole.
        """
        note = checked_reason(reason)
        with self.units(read_only=True) as work:
            champion = work.models.champion()
            earlier = earlier_champions(work.models.promotions())
        if champion is None:
            raise ConflictError("There is no champion, so there is nothing to go back from.")
        if to == champion.model_version:
            return unchanged(champion)
        version = _target(champion.model_version, earlier, to)
        release = self._checked(version, earlier)
        with self.units() as work:
            work.models.hold_promotions()
            if work.models.champion() != champion:
                raise ConflictError("Another version became champion just now; look at it, and ask again.")
            now = self.clock.now()
            promotion = make_champion(
                work, version, PromotionReason.ROLLBACK, release, now, asked_by=asked_by, note=note
            )
            detail = {"reason": note, "from": champion.model_version}
            work.audit.add(asked_by, ROLLBACK, f"model {version}", detail, now)
            work.after_commit(self.nudge)
            work.commit()
        sentence = f"Version {version} is champion again, in place of version {champion.model_version}."
        return ChangedChampion(promotion, True, f"{sentence} {WHAT_FOLLOWS}")

    def _checked(self, version: int, earlier: Sequence[int]) -> str:
        try:
            return check_release(self.releases, version)
        except DamageloopError as exc:
            whole = next((v for v in earlier[earlier.index(version) + 1 :] if self._is_whole(v)), None)
            other = f"`damageloop rollback --to {whole}` goes to the next one that is whole." if whole else ""
            raise ConflictError(f"Nothing was rolled back. {exc} {other}".rstrip()) from exc

    def _is_whole(self, version: int) -> bool:
        try:
            return bool(check_release(self.releases, version))
        except DamageloopError:
            return False


def _target(champion: int, earlier: Sequence[int], to: int | None) -> int:
    if not earlier:
        raise ConflictError(f"Version {champion} has no champion before it, so there is nothing to go back to.")
    if to is None:
        return earlier[0]
    if to not in earlier:
        known = ", ".join(str(version) for version in earlier)
        raise ConflictError(
            f"Version {to} is no champion from before version {champion}: one can go back to {known}. "
            f"`damageloop promote {to} --against-the-gate` makes any version champion."
        )
    return to
