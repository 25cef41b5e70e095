"""All commands put together."""

from __future__ import annotations

import typer

from damageloop.cli import (
    backup,
    data,
    drift,
    evaluate,
    export,
    forget,
    jobs,
    keys,
    label_errors,
    labels,
    models,
    platform,
    promotion,
    quality,
    queue,
    report,
    rounds,
    similar,
    snapshots,
    subsets,
    sweep,
    triggers,
    valuations,
)

app = typer.Typer(
    name="damageloop",
    help="Active-learning annotation platform for car damage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for group in (platform, data, models, evaluate, promotion, backup, forget, export, quality, report):
    group.register(app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(valuations.app, name="valuations")
app.add_typer(rounds.app, name="rounds")
app.add_typer(queue.app, name="queue")
similar.register(rounds.image_app)
app.add_typer(rounds.image_app, name="images")
snapshots.register(rounds.snapshot_app)
app.add_typer(rounds.snapshot_app, name="snapshot")
app.add_typer(sweep.app, name="sweep")
app.add_typer(drift.app, name="drift")
app.add_typer(triggers.app, name="triggers")
app.add_typer(label_errors.app, name="label-errors")
app.add_typer(labels.app, name="labels")
app.add_typer(subsets.app, name="subsets")
