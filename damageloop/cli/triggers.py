"""Ask for a training or an audit, and see what came of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from getpass import getuser
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.trigger import Trigger, TriggerKind
from damageloop.errors import UnavailableError
from damageloop.services.loop.triggers import Triggers

app = typer.Typer(help="Wishes for a training or an audit: list, ask, withdraw.", invoke_without_command=True)

Limit = Annotated[int, typer.Option(min=1, help="How many of the newest.")]
TriggerId = Annotated[int, typer.Argument(min=1, help="Number of the wish.")]


@app.callback()
def triggers(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the newest wishes and what came of them."""
    if not context.invoked_subcommand:
        list_triggers(as_json=as_json)


@app.command("list")
def list_triggers(limit: Limit = 20, as_json: JsonOption = False) -> None:
    """List the newest wishes and what came of them."""
    found = _services().newest(limit)
    if as_json:
        print_json([asdict(trigger) for trigger in found])
        return
    rows = [(t.id, t.kind.value, f"{t.asked_by} ({t.origin.value})", t.reason, t.outcome or "open") for t in found]
    print_table("Wishes", ("id", "for", "asked by", "reason", "outcome"), rows)


@app.command()
def ask(
    kind: Annotated[TriggerKind, typer.Argument(help="training: a snapshot of what changed and a training on it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words.")],
    as_json: JsonOption = False,
) -> None:
    """Ask for a training, though few annotations changed, or for an audit round."""
    _say(_services().ask(kind, reason, getuser()), as_json)


@app.command()
def withdraw(trigger_id: TriggerId, as_json: JsonOption = False) -> None:
    """Withdraw a wish that the loop has not fulfilled yet."""
    _say(_services().withdraw(trigger_id, getuser()), as_json)


def _say(trigger: Trigger, as_json: bool) -> None:
    if as_json:
        print_json(asdict(trigger))
        return
    outcome = trigger.outcome or "open; `damageloop status` says what it waits for"
    say(f"Wish {trigger.id} for {'an audit' if trigger.kind is TriggerKind.AUDIT else 'a training'}: {outcome}.")


def _services() -> Triggers:
    core = make_core()

    def nudge() -> None:
        # The loop turns soon anyway.
        with suppress(UnavailableError):
            core.nudge()

    return Triggers(core.units, core.clock, core.params, nudge)
