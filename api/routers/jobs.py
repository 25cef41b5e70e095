"""Jobs: what runs, what ran, ending one and trying one again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, status

from api.dependencies import After, Id, Limit, Services
from api.openapi import problems
from api.redaction import without_paths
from api.schemas.operations import JobSchema
from api.schemas.pricing import Page
from api.security import require
from damageloop.domain.job import Job
from damageloop.domain.key import ApiKey, Scope

reviewer = require(Scope.REVIEW)
Reviewer = Annotated[ApiKey, Depends(reviewer)]
router = APIRouter(
    prefix="/jobs",
    tags=["jobs"],
    dependencies=[Depends(reviewer)],
    responses=problems(401, 403, 422, 503),
)


@router.get("")
def jobs(services: Services, limit: Limit = 100, after: After = None) -> Page[JobSchema]:
    """List jobs, newest first."""
    page = services.browse.jobs(limit, after)
    return Page[JobSchema](items=[job_schema(job) for job in page.items], next_after=page.next_after)


@router.get("/{job_id}", responses=problems(404))
def job(services: Services, job_id: Id) -> JobSchema:
    """Describe a job."""
    return job_schema(services.browse.job(job_id))


@router.post("/{job_id}/cancel", responses=problems(404, 409))
def cancel(services: Services, job_id: Id, key: Reviewer) -> JobSchema:
    """End a job: one that waits at once, one that runs within seconds."""
    return job_schema(services.cancel_job(job_id, key.name))


@router.post("/{job_id}/retry", status_code=status.HTTP_202_ACCEPTED, responses=problems(404, 409))
def retry(services: Services, job_id: Id, key: Reviewer) -> JobSchema:
    """Try a failed or cancelled job again: a new job of the same key and inputs, whose parent is the old one."""
    return job_schema(services.retry_job(job_id, key.name))


def job_schema(job: Job) -> JobSchema:
    """Return a job as clients see it."""
    texts = {
        # A failed stage ends its sentence with lines of its log, which name folders of the worker.
        "error": without_paths(job.error) if job.error else None,
        "message": without_paths(job.message),
        "detail": _without_paths(job.detail),
    }
    return JobSchema.model_validate(job).model_copy(update=texts)


def _without_paths(detail: dict[str, Any]) -> dict[str, Any]:
    log = [without_paths(str(line)) for line in detail.get("log", ())]
    return {**detail, "log": log} if log else detail
