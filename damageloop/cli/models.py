"""Ask the champion, and look at versions and decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from damageloop.bootstrap.cli import answer_photos, make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.services.ingest_images import find_photos


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(predict)
    app.command()(models)


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos; each is answered by itself.")],
    as_json: JsonOption = False,
) -> None:
    """Say what the champion sees: damages, or None."""
    for path, answer in answer_photos(find_photos(paths)):
        if as_json:
            typer.echo(json.dumps(answer))
            continue
        image = answer["images"][0]
        found = ", ".join(f"{d['damage_class']} {d['confidence']:.2f}" for d in image["detections"])
        if image["error"]:
            say(f"{path}: {image['error']['message']}")
        else:
            say(f"{path}: {'None' if image['outcome'] == 'none' else image['outcome']}{': ' + found if found else ''}")


def models(as_json: JsonOption = False) -> None:
    """List model versions with what the gate said."""
    with make_core().units(read_only=True) as work:
        champion = work.models.champion()
        rows = [(m, work.models.decision_about(m.version)) for m in work.models.all()]
    serving = champion.model_version if champion else None
    if as_json:
        print_json(
            [
                {
                    "version": str(m.version),
                    "is_champion": m.version == serving,
                    "mlflow_version": m.mlflow_version,
                    "run_id": m.run_id,
                    "training_key": m.training_key,
                    "decision": d.decision.value if d else None,
                    "reasons": list(d.reasons) if d else [],
                    "evidence": d.evidence if d else {},
                    "compared_with": str(d.champion) if d and d.champion else None,
                }
                for m, d in rows
            ]
        )
        return
    lines = [
        (m.version, "champion" if m.version == serving else "", m.mlflow_version, d.decision.value if d else "-")
        for m, d in rows
    ]
    print_table("Models", ("version", "", "in MLflow", "decision"), lines)
