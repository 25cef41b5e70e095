"""Drift of served photos: where it stands, a look now, and what photos are compared with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.drift.event import DriftReport
from damageloop.services.monitoring.drift_status import DriftStatus

app = typer.Typer(help="Drift of served photos.", no_args_is_help=True)
_BY = "the command line"


def _status() -> DriftStatus:
    core = make_core()
    return DriftStatus(core.units, core.ledger, core.clock, lambda: core.params)


@app.command("status")
def status(as_json: JsonOption = False) -> None:
    """Show the newest report about the champion, and the open event."""
    found = _status()()
    if as_json:
        print_json(
            {
                "champion": str(found.champion) if found.champion is not None else None,
                "n_served": found.n_served,
                "reference": found.reference.kind,
                "report": _as_json(found.report) if found.report else None,
                "event": {"id": found.event.id, "reason": found.event.reason} if found.event else None,
            }
        )
        return
    if found.champion is None:
        say("No model serves yet, so there is nothing to watch.")
        return
    every = f"every {found.every_minutes:g} minutes" if found.is_enabled else "only on request (drift.enabled is false)"
    say(f"Version {found.champion} has answered {found.n_served} photos; a worker looks {every}.")
    if found.event:
        say(f"Event {found.event.id} is open since {found.event.opened_at:%Y-%m-%d %H:%M} UTC: {found.event.reason}")
    if found.report:
        _print(found.report)
    else:
        say("Nobody has looked yet; `damageloop drift check` does.")


@app.command("check")
def check(as_json: JsonOption = False) -> None:
    """Look now, in this process; the report is stored like one of a worker."""
    from damageloop.bootstrap.monitoring import make_watch_drift

    report = make_watch_drift(make_core()).look(_BY)
    if report is None:
        print_json({"report": None}) if as_json else say("No model serves yet, so there is nothing to look at.")
        return
    print_json(_as_json(report)) if as_json else _print(report)


@app.command("reference")
def reference(
    served: Annotated[int | None, typer.Option(min=1, help="Take the first so many photos that were served.")] = None,
    random: Annotated[bool, typer.Option(help="Take random images of the pool again, as at the start.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what photos should be like: the first ones that the champion answered, or random ones of the pool."""
    if (served is None) is not random:
        raise typer.BadParameter("Say either --served N or --random.")
    chosen = _status().use_random_reference(_BY) if served is None else _status().confirm_reference(served, _BY)
    if as_json:
        print_json({"kind": chosen.kind, "n_images": chosen.n_images})
    elif served is None:
        say("Photos are compared with random images of the pool again.")
    else:
        say(f"Photos are compared with the first {served} that the champion answered.")


def _print(report: DriftReport) -> None:
    say(f"Report {report.id}, {report.created_at:%Y-%m-%d %H:%M} UTC: {report.state.value.replace('_', ' ')}.")
    for words in report.words:
        say(f"- {words[:1].upper()}{words[1:]}")
    rows = [
        (c.comparison.column, f"{c.comparison.effect:.3f}", f"{c.p_adjusted:.2g}", "beyond" if c.is_beyond else "")
        for c in sorted(report.columns, key=lambda c: (not c.is_beyond, c.p_adjusted))
    ]
    if rows:
        print_table("Columns", ("column", "effect", "probability, corrected", ""), rows)


def _as_json(report: DriftReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "model_version": str(report.model_version),
        "state": report.state.value,
        "created_at": report.created_at.isoformat(),
        "words": list(report.words),
        "event_id": report.event_id,
        "columns": [
            {
                "column": c.comparison.column,
                "effect": c.comparison.effect,
                "p_adjusted": c.p_adjusted,
                "is_beyond": c.is_beyond,
            }
            for c in report.columns
        ],
    }
