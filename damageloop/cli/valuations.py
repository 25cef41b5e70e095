"""Valuations: show one, and value again what was valued, by the rules of then."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.services.serving.replay_valuations import ReplayValuations

app = typer.Typer(help="Valuations: show one, replay them under the rules they were made by.", no_args_is_help=True)
ValuationId = Annotated[str, typer.Argument(help="`valuation_id` of an answer.")]


@app.command()
def show(valuation_id: ValuationId, as_json: JsonOption = False) -> None:
    """Show a valuation with its rules, and what it was made of."""
    kept = _replays().kept(valuation_id)
    if as_json:
        print_json(kept)
        return
    answer = kept["answer"]
    say(answer["explanation"])
    for reason in answer["reasons"]:
        say(f"- {reason}")
    say(f"Rules {answer['valuation_version']}, model {answer['model_version']}, requests {answer['request_ids']}.")


@app.command()
def replay(
    valuation_id: Annotated[str | None, typer.Argument(help="One valuation; the newest ones when not given.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Value again by the rules of then; exit 1 when an answer comes out differently."""
    replays = _replays()
    found = [replays(valuation_id)] if valuation_id else list(replays.newest(limit))
    if as_json:
        parts: list[dict[str, Any]] = [
            {"valuation_id": each.answer["valuation_id"], "same": not each.differs, "differs": list(each.differs)}
            | {"answer": each.answer, "recomputed": each.recomputed}
            for each in found
        ]
        print_json(parts[0] if valuation_id else {"replayed": len(parts), "valuations": parts})
    else:
        rows = [
            (each.answer["valuation_id"], each.answer["valuation_version"], ", ".join(each.differs) or "the same")
            for each in found
        ]
        print_table("Replayed", ("valuation", "rules", "outcome"), rows)
    if any(each.differs for each in found):
        raise typer.Exit(1)


def _replays() -> ReplayValuations:
    return ReplayValuations(make_core().units)
