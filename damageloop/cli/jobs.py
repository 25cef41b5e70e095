"""Look at jobs, stop one, try one again."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.job import Job
from damageloop.services.loop.cancel_job import CancelJob, RetryJob

app = typer.Typer(help="Jobs: list, cancel, retry.", invoke_without_command=True)


@app.callback()
def list_jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many of the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs."""
    if context.invoked_subcommand:
        return
    with make_core().units(read_only=True) as work:
        jobs = work.jobs.all(limit)
    if as_json:
        print_json([_as_dict(job) for job in jobs])
        return
    rows = [(j.id, j.kind.value, j.state.value, f"{j.progress:.0%}", j.attempts, j.error or j.message) for j in jobs]
    print_table("Jobs", ("id", "kind", "state", "done", "attempts", "says"), rows)


JobId = Annotated[int, typer.Argument(help="Number of the job, as `damageloop jobs` lists it.")]


@app.command()
def cancel(job_id: JobId, as_json: JsonOption = False) -> None:
    """Ask a job to end; what it had finished stays, and the loop does not ask for it again."""
    core = make_core()
    job = CancelJob(core.units, core.clock)(job_id, getuser())
    if as_json:
        print_json(_as_dict(job))
        return
    say(f"Job {job_id} is {job.state.value}." if job.finished_at else f"Job {job_id} is asked to end.")


@app.command()
def retry(job_id: JobId, as_json: JsonOption = False) -> None:
    """Run a failed or cancelled job again, as a new job of the same key and inputs."""
    new = RetryJob(make_core().ledger)(job_id, getuser())
    if as_json:
        print_json(_as_dict(new))
        return
    is_other = new.parent_id != job_id
    say(f"Job {new.id} ({new.key}) {'is under way already' if is_other else 'tries it again'}.")


def _as_dict(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "kind": job.kind.value,
        "key": job.key,
        "flight": job.flight,
        "queue": job.queue.value,
        "parent_id": job.parent_id,
        "state": job.state.value,
        "attempts": job.attempts,
        "progress": job.progress,
        "message": job.message,
        "error": job.error,
        "inputs": job.inputs,
        "result": job.result,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
        "heartbeat_at": job.heartbeat_at.isoformat() if job.heartbeat_at else None,
        "lease_until": job.lease_until.isoformat() if job.lease_until else None,
        "is_cancel_requested": job.is_cancel_requested,
    }
