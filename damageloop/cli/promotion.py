"""Make a version champion by hand, and go back to an earlier one."""

from __future__ import annotations

from typing import Annotated

import typer

from damageloop.bootstrap.champions import Champions, make_champions
from damageloop.bootstrap.cli import make_core
from damageloop.cli.completion import model_versions
from damageloop.cli.models import ASKED_BY, promotion_json
from damageloop.cli.output import JsonOption, print_json, say
from damageloop.services.insight.browse import Browse
from damageloop.services.models.promote_by_hand import ChangedChampion

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who ask later.")]
NO_REASON = "no reason given"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(promote)
    app.command()(rollback)


def promote(
    version: Annotated[
        int,
        typer.Argument(
            help="Number of the model version, as `damageloop models` lists it.", autocompletion=model_versions
        ),
    ],
    reason: ReasonOption = NO_REASON,
    against_the_gate: Annotated[
        bool, typer.Option("--against-the-gate", help="Also what the gate refused or has not judged.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a version champion; asked again it changes nothing."""
    _tell(_champions().promote(version, reason, ASKED_BY, against_the_gate), as_json)


def rollback(
    reason: ReasonOption = NO_REASON,
    to: Annotated[int | None, typer.Option("--to", help="An earlier champion; the one before this by default.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the champion before this one, or to an earlier one; done twice without --to it goes back twice."""
    _tell(_champions().rollback(reason, ASKED_BY, to), as_json)


def _champions() -> Champions:
    core = make_core()
    return make_champions(core.units, core.releases, core.clock)


def _tell(changed: ChangedChampion, as_json: bool) -> None:
    if not as_json:
        say(changed.detail)
        return
    traced = Browse(make_core().units).promotion(changed.promotion.id)
    print_json({"changed": changed.is_new, "detail": changed.detail, "promotion": promotion_json(traced)})
