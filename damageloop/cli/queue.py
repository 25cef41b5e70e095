"""The annotators' queue: what comes next and why, and the requests that change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from damageloop.cli import rounds
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.round import Share

if TYPE_CHECKING:
    from damageloop.services.rounds.queue_order import Queue, QueueEntry

app = typer.Typer(
    help="What annotators get next, urgent first, and why; pin, skip, send-back.", invoke_without_command=True
)
# The same as `damageloop images …`: who looks at the queue looks for them here.
app.command("pin")(rounds.pin)
app.command("skip")(rounds.skip)
app.command("send-back")(rounds.send_back)


@app.callback()
def queue(
    context: typer.Context,
    damage_class: Annotated[str | None, typer.Option("--class", help="Pre-labelled with a box of this class.")] = None,
    share: Annotated[Share | None, typer.Option(help="By which rule the image came into its round.")] = None,
    vehicle: Annotated[str | None, typer.Option(help="Photos of this vehicle.")] = None,
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="A pre-label at least this sure.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the next ones.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List what annotators get next, in order, with the reason of each; what was sent back comes first."""
    if context.invoked_subcommand:
        return
    from damageloop.bootstrap.cli import make_core
    from damageloop.errors import InvalidInputError
    from damageloop.services.rounds.queue_order import QueueFilter, ShowQueue

    core = make_core()
    classes = core.params.labels.classes
    if damage_class not in {None, *classes}:
        raise InvalidInputError(f"There is no class {damage_class!r}; known: {', '.join(classes)}.")
    found = ShowQueue(core.units, core.params)(QueueFilter(damage_class, share, vehicle, min_score), limit)
    if as_json:
        print_json(
            {"waiting": found.n_waiting, "pinned": found.n_pinned, "items": [_as_dict(e) for e in found.entries]}
        )
        return
    _print(found)


def _print(found: Queue) -> None:
    if not found.n_waiting:
        say("The queue is empty; `damageloop status` says what the loop waits for.")
    elif not found.entries:
        say(f"None of the {found.n_waiting} images that wait meets this.")
    else:
        columns = ("place", "image", "file", "vehicle", "from", "pre-labels", "why")
        rows = [
            (e.place, e.image.id, e.image.file_name, e.image.vehicle, _from(e), _boxes(e), e.reason)
            for e in found.entries
        ]
        print_table(f"{len(rows)} of {found.n_waiting} images that wait", columns, rows)
    if found.n_pinned:
        say(f"{found.n_pinned} pinned images come with the next round.")


def _from(entry: QueueEntry) -> str:
    if entry.share is None:
        return "sent back" if entry.kind == "rework" else "second opinion"
    return f"round {entry.round_id}, {entry.share.value}"


def _boxes(entry: QueueEntry) -> str:
    return ", ".join(f"{d.damage_class} {d.confidence:.2f}" for d in entry.shown) or "-"


def _as_dict(entry: QueueEntry) -> dict[str, Any]:
    return {
        "place": entry.place,
        "image_id": entry.image.id,
        "file_name": entry.image.file_name,
        "vehicle": entry.image.vehicle,
        "kind": entry.kind.value,
        "round_id": entry.round_id,
        "share": entry.share.value if entry.share else None,
        "task_id": entry.task_id,
        "rank_score": entry.rank_score,
        "expected_seconds": entry.expected_seconds,
        "reason": entry.reason,
        "pre_labels": [{"damage_class": d.damage_class, "confidence": d.confidence} for d in entry.shown],
    }
