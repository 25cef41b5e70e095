"""Refuse a model version by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from damageloop.bootstrap.champions import make_champions
from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, say

_ASKED_BY = "command line"


def refuse(
    version: Annotated[int, typer.Argument(help="Number of the model version, as `damageloop models` lists it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for those who ask later.")],
    as_json: JsonOption = False,
) -> None:
    """Refuse a version: the loop promotes it no more, and a person only with --against-the-gate."""
    core = make_core()
    refused = make_champions(core.units, core.releases, core.clock).refuse(version, reason, _ASKED_BY)
    if as_json:
        print_json({"changed": refused.is_new, "detail": refused.detail, "version": str(version)})
    else:
        say(refused.detail)
