"""The part of the plan that follows a promotion: what can be recorded now, and which step waits for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from damageloop.domain.job import Job, JobKind, JobRequest
from damageloop.domain.promotion import PromotionStep, open_steps
from damageloop.ports.persistence import UnitOfWork

# Registry and serving are asked again after a tenth of the promotion's age, within these bounds: at once while all is
# well, and rarely where one of them stays away for days.
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=10)

_OUTSIDE = (PromotionStep.RELEASE, PromotionStep.REGISTRY, PromotionStep.SERVING)
_NAMES = {
    PromotionStep.RELEASE: "its release",
    PromotionStep.REGISTRY: "the registry's alias",
    PromotionStep.SERVING: "serving",
    PromotionStep.POOL: "scores of the pool",
    PromotionStep.PRE_ANNOTATIONS: "pre-labels of untouched tasks",
}


@dataclass(frozen=True, slots=True)
class FollowedPromotion:
    """The newest promotion and what it still lacks.

    Attributes:
        open_steps: Steps that are not recorded, in order.
        is_look_due: Those that lie outside may be looked at again.
        words: Why steps waited when they were last looked at.
    """

    id: int
    version: int
    open_steps: tuple[PromotionStep, ...]
    is_look_due: bool = True
    words: Mapping[PromotionStep, str] = field(default_factory=dict)


def key_of(promotion_id: int) -> str:
    """Return the key of the job that follows a promotion."""
    return f"{JobKind.FOLLOW_PROMOTION}:{promotion_id}"


def followed_promotion(work: UnitOfWork, latest_jobs: Mapping[str, Job], now: datetime) -> FollowedPromotion | None:
    """Return the newest promotion as it is now; None without a champion, or when all its steps are recorded."""
    promotion = work.models.champion()
    if promotion is None:
        return None
    left = open_steps([done.step for done in work.models.steps(promotion.id)])
    if not left:
        return None
    last = latest_jobs.get(key_of(promotion.id))
    is_due = True
    if last and last.finished_at:
        pause = min(max((now - promotion.created_at) / 10, FIRST_PAUSE), LONGEST_PAUSE)
        is_due = now - last.finished_at >= pause
    waiting = (last.result or {}).get("waiting", {}) if last else {}
    words = {PromotionStep(step): text for step, text in waiting.items()}
    return FollowedPromotion(promotion.id, promotion.model_version, left, is_due, words)


def plan_following(
    followed: FollowedPromotion | None, n_unscored: int, is_renewed: bool
) -> tuple[list[JobRequest], list[str]]:
    """Return the job that follows the promotion, if it has something to do now, and what the open steps wait for.

    `is_renewed`: untouched tasks show the champion's pre-annotations, or there are none.
    """
    if followed is None:
        return [], []
    seen = [step for step in followed.open_steps if _is_seen(step, n_unscored, is_renewed)]
    jobs = []
    if seen or (followed.is_look_due and any(step in _OUTSIDE for step in followed.open_steps)):
        inputs = {"promotion_id": followed.id, "seen": [step.value for step in seen]}
        flight = JobKind.FOLLOW_PROMOTION.value
        jobs.append(JobRequest(JobKind.FOLLOW_PROMOTION, key_of(followed.id), inputs, flight))
    left = [_words(step, followed, n_unscored) for step in followed.open_steps if step not in seen]
    return jobs, [f"the promotion of version {followed.version}: {'; '.join(left)}"] if left else []


def _is_seen(step: PromotionStep, n_unscored: int, is_renewed: bool) -> bool:
    if n_unscored:
        return False
    return step is PromotionStep.POOL or (step is PromotionStep.PRE_ANNOTATIONS and is_renewed)


def _words(step: PromotionStep, followed: FollowedPromotion, n_unscored: int) -> str:
    why = followed.words.get(step)
    if step is PromotionStep.POOL and n_unscored:
        why = f"{n_unscored} images left"
    return f"{_NAMES[step]} ({why.rstrip('.')})" if why else _NAMES[step]
