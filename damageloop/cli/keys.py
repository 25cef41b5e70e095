"""API keys: create, list, revoke."""

from __future__ import annotations

from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.key import Scope
from damageloop.services.serving.keys import Keys

app = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


@app.command()
def create(
    scope: Annotated[list[Scope], typer.Option(help="What the key may do; may be given more than once.")],
    name: Annotated[str, typer.Option(help="Who will use it.")] = "unnamed",
    as_json: JsonOption = False,
) -> None:
    """Create a key and print it, once: only its hash is kept."""
    made, secret = _keys().create(name, scope)
    if as_json:
        print_json({"id": made.id, "name": made.name, "scopes": sorted(made.scopes), "key": secret})
        return
    say(secret)


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys without their secrets."""
    found = _keys().all()
    rows = [
        (k.id, k.name, " ".join(sorted(s.value for s in k.scopes)), "revoked" if k.revoked_at else "in use")
        for k in found
    ]
    if as_json:
        print_json([dict(zip(("id", "name", "scopes", "state"), row, strict=True)) for row in rows])
        return
    print_table("API keys", ("id", "name", "scopes", "state"), rows)


@app.command()
def revoke(key_id: int) -> None:
    """Make a key useless at once."""
    _keys().revoke(key_id)
    say(f"Key {key_id} is revoked.")


def _keys() -> Keys:
    core = make_core()
    return Keys(core.units, core.clock)
