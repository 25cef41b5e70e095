"""All commands put together."""

from __future__ import annotations

import typer

from damageloop.cli import data, jobs, keys, models, platform, rounds

app = typer.Typer(
    name="damageloop",
    help="Active-learning annotation platform for car damage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (platform, data, models, rounds):
    group.register(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(rounds.snapshot_app, name="snapshot")
