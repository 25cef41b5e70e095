"""API keys: create, list, rotate, revoke."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from damageloop.adapters.kept_key import KeptKeyFile
from damageloop.adapters.secrets import Secrets
from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.key import ApiKey, Scope
from damageloop.services.serving.keys import COMMAND_LINE, MAX_LIFE, MAX_OVERLAP, MAX_REQUESTS_PER_MINUTE, Keys

app = typer.Typer(help="API keys: create, list, rotate, revoke.", no_args_is_help=True)

_HOUR = timedelta(hours=1)
_COLUMNS = ("id", "name", "begins", "scopes", "state", "expires", "last used", "a minute")
KeyId = Annotated[int, typer.Argument(min=1, help="Number of the key, as `keys list` shows it.")]


@app.command()
def create(
    scope: Annotated[list[Scope], typer.Option(help="What the key may do; may be given more than once.")],
    name: Annotated[str, typer.Option(help="Who will use it.")] = "unnamed",
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=MAX_LIFE.days, help="It ends after so many days; without: never.")
    ] = None,
    requests_per_minute: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_REQUESTS_PER_MINUTE, help="Without: serving.requests_per_minute of params.yaml."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key and print it, once: only its hash is kept."""
    life = timedelta(days=expires_days) if expires_days is not None else None
    keys = _keys()
    _show(keys, *keys.create(name, scope, COMMAND_LINE, life, requests_per_minute), as_json)


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys without their secrets."""
    keys = _keys()
    found = [_told(keys, key) for key in keys.all()]
    if as_json:
        print_json(found)
        return
    print_table("API keys", _COLUMNS, [_row(key) for key in found])


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=MAX_OVERLAP // _HOUR, help="How long the old key stays good beside the new one.")
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Make the successor of a key and print it, once; the old key ends when the overlap is over."""
    keys = _keys()
    _show(keys, *keys.rotate(key_id, COMMAND_LINE, overlap_hours * _HOUR), as_json)


@app.command()
def revoke(
    key_id: KeyId,
    force: Annotated[bool, typer.Option("--force", help="Even if it is the last admin key that is good.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key useless within a second, for ever."""
    keys = _keys()
    revoked = keys.revoke(key_id, COMMAND_LINE, force)
    if as_json:
        print_json(_told(keys, revoked))
        return
    say(f"Key {key_id} is revoked.")


def _show(keys: Keys, made: ApiKey, secret: str, as_json: bool) -> None:
    if as_json:
        print_json({**_told(keys, made), "key": secret})
        return
    say(secret)


def _told(keys: Keys, key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(scope.value for scope in key.scopes),
        "hint": key.hint,
        "state": keys.state(key).value,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
        "replaced_by": key.replaced_by,
        "requests_per_minute": key.requests_per_minute,
    }


def _row(key: dict[str, Any]) -> tuple[Any, ...]:
    state = key["state"].replace("_", " ")
    if key["replaced_by"]:
        state += f", replaced by {key['replaced_by']}"
    expires, used = (str(key[name] or "never")[:16].replace("T", " ") for name in ("expires_at", "last_used_at"))
    limit = key["requests_per_minute"] or "as set"
    return key["id"], key["name"], key["hint"] or "", " ".join(key["scopes"]), state, expires, used, limit


def _keys() -> Keys:
    core = make_core()
    return Keys(core.units, core.clock, KeptKeyFile(Secrets(core.settings.secrets_dir)))
