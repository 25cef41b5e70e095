"""Doubtful annotations: search them, look at them, have them looked at again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.bootstrap.curation import Curation, make_curation
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.label_error import UNDECIDED_STATES, LabelErrorState
from damageloop.services.reviews.label_errors import ListedLabelError

app = typer.Typer(help="Label errors: find, list, send.", no_args_is_help=True)
ASKED_BY = "command line"
_HIDDEN = "(held out: hidden until it was looked at again)"


def curation() -> Curation:
    """Return the services on the settings of the environment. Raises ConflictError without a platform."""
    core = make_core()
    return make_curation(core.units, core.ledger, core.params, lambda: core.features, core.maps)


@app.command()
def find(as_json: JsonOption = False) -> None:
    """Search the newest snapshot for annotations that models contradict; it trains label_errors.folds times."""
    job = curation().label_errors.search()
    if as_json:
        print_json({"job_id": job.id, "snapshot_id": job.inputs["snapshot_id"], "state": job.state.value})
        return
    say(f"Job {job.id} searches snapshot {job.inputs['snapshot_id']}; `damageloop jobs` tells how far it is.")


@app.command("list")
def list_errors(
    state: Annotated[list[LabelErrorState] | None, typer.Option(help="Open and queued ones by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the most doubtful.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List doubtful annotations, the most doubtful first."""
    page = curation().label_errors.page(limit, None, frozenset(state) if state else UNDECIDED_STATES)
    if as_json:
        print_json([_as_dict(item) for item in page.items])
        return
    rows = [
        (i.error.id, i.error.image_id, f"{i.error.quality:.2f}", i.error.state.value, i.reason or _HIDDEN)
        for i in page.items
    ]
    print_table("Label errors", ("id", "image", "quality", "state", "why"), rows)


@app.command()
def send(
    at_most: Annotated[int, typer.Option("--max", min=1, help="How many of the most doubtful.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Have the most doubtful open annotations looked at again."""
    sent = curation().label_errors.send(at_most, ASKED_BY)
    if as_json:
        print_json({"image_ids": sent})
        return
    say(f"{len(sent)} images are sent back to the annotators." if sent else "There is no open label error to send.")


def _as_dict(item: ListedLabelError) -> dict[str, Any]:
    error = item.error
    return {
        "id": error.id,
        "image_id": error.image_id,
        "quality": error.quality,
        "reason": item.reason,
        "state": error.state.value,
        "snapshot_id": error.snapshot_id,
        "created_at": error.created_at.isoformat(),
    }
