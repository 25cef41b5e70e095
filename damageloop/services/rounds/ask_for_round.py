"""Ask for a round now, or for the end of one: checked at once, done by a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from active_learning.registry import strategy
from damageloop.domain.job import Job, JobKind, JobRequest
from damageloop.domain.round import RoundKind, RoundState
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError
from damageloop.params import Params
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.loop.ledger import Ledger
from damageloop.services.rounds.choose_images import Pool
from damageloop.services.rounds.round_pool import daily_budget, pool_of

MAX_QUERY_SIZE = 10_000
MAX_IMAGE_IDS = 5_000


@dataclass(frozen=True, slots=True)
class AskForRound:
    """Writes down the job that opens the next round as a person wants it; other rounds may be open meanwhile."""

    units: UnitOfWorkFactory
    ledger: Ledger
    clock: Clock
    params: Params

    def __call__(
        self,
        asked_by: str,
        kind: RoundKind = RoundKind.QUERY,
        strategy_name: str | None = None,
        query_size: int | None = None,
        image_ids: Sequence[int] = (),
        subset_id: int | None = None,
    ) -> Job:
        """Return the job. `image_ids` makes a round of exactly these images, which no human has seen.

        With `subset_id` the strategy chooses among the train images of that saved subset.

        Raises:
            InvalidInputError: If there is no such strategy, a number is out of range, or the wishes contradict.
            NotFoundError: If an image or the subset is unknown.
            ConflictError: If a round is being opened, nothing is left to put before annotators, the pool is not
                scored yet, or the day's budget is used.
        """
        _refuse_contradictions(kind, strategy_name, query_size, image_ids, subset_id)
        inputs = {
            "kind": kind.value,
            "strategy": strategy_name,
            "query_size": query_size,
            "image_ids": list(image_ids),
            "subset_id": subset_id,
            "asked_by": asked_by,
        }
        with self.units() as work:
            self._refuse(work, kind, image_ids, subset_id)
            number = len(work.rounds.all()) + 1
            promotion = work.models.champion()
            version = promotion.model_version if promotion else None
            # A key beside the loop's own, so that a wish that fails keeps the loop from nothing.
            job = self.ledger.request_within(
                work,
                JobRequest(
                    JobKind.OPEN_ROUND,
                    f"open_round:{number}:asked",
                    {"number": number, "model_version": version, **inputs},
                    f"open_round:{number}",
                ),
            )
            work.commit()
        return job

    def _refuse(self, work: UnitOfWork, kind: RoundKind, image_ids: Sequence[int], subset_id: int | None) -> None:
        if any(job.kind is JobKind.OPEN_ROUND for job in work.jobs.active()) or any(
            r.state is RoundState.OPENING for r in work.rounds.unclosed()
        ):
            raise ConflictError("A round is being opened; ask again when it is open.")
        budget = daily_budget(work, self.params, self.clock.now())
        if budget and not budget.left:
            raise ConflictError(f"No round can open: {budget.in_words}.")
        pool = pool_of(work)
        if subset_id is not None:
            pool = pool.within(work.subsets.get(subset_id).image_ids)
        if image_ids:
            _refuse_images(work, pool, image_ids)
            return
        self._refuse_unscored(work)
        if not (pool.train if kind is RoundKind.QUERY else pool.evaluation):
            if subset_id is not None:
                raise ConflictError("No train image of this subset waits: all were put before a human, or set aside.")
            raise ConflictError("Every image has been put before a human; import new photos first.")

    @staticmethod
    def _refuse_unscored(work: UnitOfWork) -> None:
        promotion = work.models.champion()
        if promotion is None:
            return
        version = promotion.model_version
        if any(job.kind is JobKind.SCORE_POOL for job in work.jobs.active()) or not work.predictions.count(version):
            raise ConflictError(f"Version {version} is still scoring the pool; ask again when it has.")


@dataclass(frozen=True, slots=True)
class AskToCloseRound:
    """Writes down the job that closes a round; asked again, it is the same job or one that changes nothing."""

    units: UnitOfWorkFactory
    ledger: Ledger

    def __call__(self, round_id: int) -> Job:
        """Return the job.

        Raises:
            NotFoundError: If there is no such round.
            ConflictError: If the round is still being opened.
        """
        with self.units() as work:
            if work.rounds.get(round_id).state is RoundState.OPENING:
                raise ConflictError(f"Round {round_id} is still being opened; ask again when it is open.")
            request = JobRequest(JobKind.CLOSE_ROUND, f"close_round:{round_id}", {"round_id": round_id})
            job = self.ledger.request_within(work, request)
            work.commit()
        return job


def _refuse_contradictions(
    kind: RoundKind,
    strategy_name: str | None,
    query_size: int | None,
    image_ids: Sequence[int],
    subset_id: int | None,
) -> None:
    if strategy_name is not None:
        strategy(strategy_name)
    if query_size is not None and not 1 <= query_size <= MAX_QUERY_SIZE:
        raise InvalidInputError(f"A round holds 1 to {MAX_QUERY_SIZE} images, not {query_size}.")
    if image_ids and (strategy_name or query_size or kind is RoundKind.AUDIT):
        raise InvalidInputError("A round of given images has no strategy, size or audit; leave these out.")
    if subset_id is not None and (image_ids or kind is RoundKind.AUDIT):
        raise InvalidInputError("A subset scopes a query round; leave given images and audit out.")
    if len(set(image_ids)) != len(image_ids) or len(image_ids) > MAX_IMAGE_IDS:
        raise InvalidInputError(f"The images of a round are at most {MAX_IMAGE_IDS}, each named once.")
    if kind is RoundKind.AUDIT and strategy_name:
        raise InvalidInputError("An audit round is drawn at random; leave the strategy out.")


def _refuse_images(work: UnitOfWork, pool: Pool, image_ids: Sequence[int]) -> None:
    known = {image.id for image in work.images.get_many(list(image_ids))}
    unknown = [image_id for image_id in image_ids if image_id not in known]
    if unknown:
        raise NotFoundError(f"There is no image {unknown[0]}.")
    free = {image.id for image in (*pool.train, *pool.evaluation)}
    taken = [image_id for image_id in image_ids if image_id not in free]
    if taken:
        raise ConflictError(
            f"Images {taken[:5]} are reviewed, skipped, set aside or in an open round; a reviewed one can be sent back."
        )
