"""Look at jobs, stop one, try one again."""

from __future__ import annotations

import time
from getpass import getuser
from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.completion import job_numbers
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.job import Job, JobState
from damageloop.services.loop.cancel_job import CancelJob, RetryJob

app = typer.Typer(help="Jobs: list, show, log, follow, cancel, retry.", invoke_without_command=True)
POLL_S = 2.0


@app.callback()
def list_jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
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


JobId = Annotated[
    int, typer.Argument(min=1, help="Number of the job, as `damageloop jobs` lists it.", autocompletion=job_numbers)
]


@app.command()
def show(job_id: JobId, as_json: JsonOption = False) -> None:
    """Show one job: state, progress, what it was asked and what came of it."""
    job = _job(job_id)
    if as_json:
        print_json(_as_dict(job))
        return
    say(f"Job {job.id} ({job.key}) is {job.state.value}, {job.progress:.0%} done, attempt {job.attempts}.")
    for name, value in (("Says", job.message), ("Failed", job.error), ("Result", job.result), ("Asked", job.inputs)):
        if value:
            say(f"{name}: {value}")
    for name, value in _figures(job).items():
        say(f"{name.replace('_', ' ').capitalize()}: {value}")


@app.command("log")
def show_log(job_id: JobId, as_json: JsonOption = False) -> None:
    """Print the last lines that a job wrote down; a training writes some."""
    lines = _log(_job(job_id))
    if as_json:
        print_json({"id": job_id, "log": lines})
        return
    for line in lines or [f"Job {job_id} has written nothing down."]:
        say(line)


@app.command()
def follow(job_id: JobId, as_json: JsonOption = False) -> None:
    """Print a job's progress until it ends; exit 1 when it did not succeed. Ctrl-C leaves it running."""
    told = ""
    while True:
        job = _job(job_id)
        line = ", ".join([f"{job.progress:.0%} {job.message}", *(f"{k} {v}" for k, v in _figures(job).items())])
        if line != told and not as_json:
            say(line)
        told = line
        if job.finished_at:
            break
        time.sleep(POLL_S)
    if as_json:
        print_json(_as_dict(job))
    else:
        say(f"Job {job.id} is {job.state.value}{': ' + job.error if job.error else '.'}")
    if job.state is not JobState.SUCCEEDED:
        raise typer.Exit(1)


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


def _job(job_id: int) -> Job:
    with make_core().units(read_only=True) as work:
        return work.jobs.get(job_id)


def _detail(job: Job) -> dict[str, Any]:
    return dict(getattr(job, "detail", None) or {})


def _figures(job: Job) -> dict[str, Any]:
    """Return what a training tells of itself, without its log: epoch, loss, seconds left."""
    return {name: value for name, value in _detail(job).items() if name != "log" and value is not None}


def _log(job: Job) -> list[str]:
    return [str(line) for line in _detail(job).get("log", ())]


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
        "detail": _detail(job),
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
