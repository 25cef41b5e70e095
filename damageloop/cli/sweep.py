"""Search better training settings, look at what was tried, and take the winner over."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.job import ACTIVE_STATES, Job, JobState
from damageloop.domain.sweep import Trial, best_of
from damageloop.errors import NotFoundError
from damageloop.services.models.request_sweep import SweepPlan, sweep_job, sweep_jobs

app = typer.Typer(help="Sweeps over training settings: list, start, show, apply.", invoke_without_command=True)

_POLL_S = 2.0


@app.callback()
def list_sweeps(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the sweeps; `damageloop sweep start` runs one."""
    if context.invoked_subcommand:
        return
    with make_core().units(read_only=True) as work:
        jobs = sweep_jobs(work)
    if as_json:
        print_json([_as_dict(job) for job in jobs])
        return
    rows = [(job.inputs["sweep_id"], job.id, job.state.value, f"{job.progress:.0%}", _says(job)) for job in jobs]
    print_table("Sweeps", ("sweep", "job", "state", "done", "says"), rows)
    if not jobs:
        say("`damageloop sweep start` runs one on the newest snapshot.")


@app.command()
def start(
    snapshot: Annotated[int | None, typer.Option(help="Number of the snapshot; the newest by default.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials at most; sweep.max_trials by default.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes at most; sweep.max_minutes by default.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end, and fail when the sweep does.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask for a sweep over what `sweep.space` in params.yaml names; a training worker runs it."""
    from damageloop.bootstrap.sweep import make_request_sweep

    job = make_request_sweep(make_core())(snapshot, trials, minutes)
    plan = SweepPlan.from_json(job.inputs)
    if not as_json:
        say(f"{plan.sweep_id} is asked for: at most {plan.max_trials} trials and {plan.max_minutes:g} minutes.")
        for name in plan.left_out:
            say(f"{name} is left out: no weights folder has it.")
    if wait:
        job = _wait(job, is_silent=as_json)
    if as_json:
        print_json(_as_dict(job))
    elif wait:
        say(_says(job))
    if wait and job.state is not JobState.SUCCEEDED:
        raise typer.Exit(1)


@app.command()
def show(sweep_id: str, as_json: JsonOption = False) -> None:
    """Show the trials of a sweep, such as sweep-0001."""
    from damageloop.bootstrap.sweep import study_of

    core = make_core()
    with core.units(read_only=True) as work:
        job = sweep_job(work, sweep_id)
    try:
        trials = study_of(core, sweep_id).trials()
    except NotFoundError:
        trials = []
    if as_json:
        print_json({**_as_dict(job), "trials": [_trial_as_dict(trial) for trial in trials]})
        return
    best = best_of(trials)
    rows = [
        (
            f"{trial.number}{' (best)' if trial == best else ' (before)' if trial.number == 0 else ''}",
            trial.state.value,
            "-" if trial.map50 is None else f"{trial.map50:.4f}",
            f"{trial.seconds / 60.0:.1f}",
            trial.reason or ", ".join(f"{name} {_brief(value)}" for name, value in sorted(trial.values.items())),
        )
        for trial in trials
    ]
    print_table(f"{sweep_id}: {job.state.value}", ("trial", "state", "mAP50 on val", "minutes", "settings"), rows)


@app.command()
def apply(
    sweep_id: str,
    dry_run: Annotated[bool, typer.Option(help="Show the difference and write nothing.")] = False,
    force: Annotated[bool, typer.Option(help="Also when model or training changed since the sweep.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the winner's settings into the workspace's params.yaml; the next snapshot takes them in."""
    from damageloop.adapters.params_file import changed_text, difference, replace_text
    from damageloop.bootstrap.sweep import make_apply_sweep

    core = make_core()
    winner = make_apply_sweep(core)(sweep_id, is_forced=force)
    path = core.settings.params_file
    text = changed_text(path, winner.changes)
    diff = difference(path, text) if winner.changes else ""
    is_written = bool(diff) and not dry_run
    if is_written:
        replace_text(path, text)
    if as_json:
        found = {"sweep_id": sweep_id, "best": _trial_as_dict(winner.trial), "map50_before": winner.map50_before}
        print_json({**found, "changes": winner.changes, "diff": diff, "written": is_written})
        return
    before = "-" if winner.map50_before is None else f"{winner.map50_before:.4f}"
    say(f"Trial {winner.trial.number} of {sweep_id} reached mAP50 {winner.trial.map50:.4f} on val, before: {before}.")
    say(diff or "Nothing changes: params.yaml holds these settings already.")
    if is_written:
        say("params.yaml is written; the next snapshot takes it in, and the gate judges what is trained on that.")


def _wait(job: Job, *, is_silent: bool) -> Job:
    core, told = make_core(), ""
    while job.state in ACTIVE_STATES:
        time.sleep(_POLL_S)
        with core.units(read_only=True) as work:
            job = work.jobs.get(job.id)
        words = _says(job)
        if words != told and not is_silent:
            say(words)
        told = words
    return job


def _says(job: Job) -> str:
    if job.error:
        return job.error
    if job.result:
        best, before = job.result["best"], job.result["map50_before"]
        compared = "" if before is None else f", {before:.4f} before"
        return f"best: trial {best['trial']}, mAP50 {best['map50']:.4f} on val{compared}"
    return job.message or "waiting for a training worker"


def _as_dict(job: Job) -> dict[str, Any]:
    return {
        "sweep_id": job.inputs["sweep_id"],
        "job_id": job.id,
        "state": job.state.value,
        "progress": job.progress,
        "message": job.message,
        "error": job.error,
        "snapshot_id": job.inputs["snapshot_id"],
        "max_trials": job.inputs["max_trials"],
        "max_minutes": job.inputs["max_minutes"],
        "space": job.inputs["space"],
        "left_out": job.inputs["left_out"],
        "result": job.result,
    }


def _trial_as_dict(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.value,
        "map50": trial.map50,
        "values": trial.values,
        "seconds": round(trial.seconds, 1),
        "reason": trial.reason,
        "run_id": trial.run_id,
    }


def _brief(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
