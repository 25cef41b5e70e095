"""Ask the champion, look at versions, decisions and promotions, and mend a damaged release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from damageloop.bootstrap.cli import answer_photos, make_core
from damageloop.cli.completion import model_versions
from damageloop.cli.model_card import card
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.cli.refusal import refuse
from damageloop.services.images.ingest_images import find_photos
from damageloop.services.insight.browse import Browse, JudgedModel, TracedPromotion

ASKED_BY = "command line"
ALL = 2**31 - 1

models_app = typer.Typer(
    help="Model versions: list with what the gate said and each promotion, card, refuse, repair.",
    invoke_without_command=True,
)


Version = Annotated[
    int,
    typer.Argument(
        min=1, help="Number of the version, as `damageloop models` lists it.", autocompletion=model_versions
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(predict)
    models_app.command()(card)
    models_app.command()(refuse)
    app.add_typer(models_app, name="models")


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
            outcome = "None" if image["outcome"] == "none" else image["outcome"].replace("_", " ")
            say(f"{path}: {outcome}{': ' + found if found else ''}")


@models_app.callback()
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List model versions with what the gate said, and promotions with their reason and steps."""
    if context.invoked_subcommand:
        return
    found = Browse(make_core().units).models(ALL, None).items
    if as_json:
        print_json([_as_dict(item) for item in found])
        return
    rows = [
        (
            item.model.version,
            "champion" if item.is_champion else "",
            item.model.mlflow_version,
            item.decision.decision.value if item.decision else "-",
            (item.decision.comparison if item.decision else None) or "-",
        )
        for item in found
    ]
    print_table("Models", ("version", "", "in MLflow", "decision", "comparison"), rows)
    traced = sorted((p for item in found for p in item.promotions), key=lambda p: p.promotion.id)
    lines = [(p.promotion.id, p.promotion.model_version, _reason(p), *_progress(p)) for p in traced]
    print_table("Promotions", ("id", "version", "reason", "done", "still to do"), lines)


@models_app.command()
def repair(version: Version, as_json: JsonOption = False) -> None:
    """Fetch the files of a damaged release from MLflow again; a whole one is left as it is."""
    from damageloop.bootstrap.repair import make_repair_release

    done = make_repair_release(make_core())(version, ASKED_BY)
    if as_json:
        print_json({"version": str(version), "detail": done})
    else:
        say(done)


def _reason(traced: TracedPromotion) -> str:
    promotion = traced.promotion
    by = f" by {promotion.asked_by}: {promotion.note}" if promotion.asked_by else ""
    return f"{promotion.reason.value}{by}"


def _progress(traced: TracedPromotion) -> tuple[str, str]:
    return ", ".join(step.step.value for step in traced.done), ", ".join(step.value for step in traced.open)


def _as_dict(item: JudgedModel) -> dict[str, Any]:
    model, decision = item.model, item.decision
    return {
        "version": str(model.version),
        "is_champion": item.is_champion,
        "mlflow_version": model.mlflow_version,
        "run_id": model.run_id,
        "training_key": model.training_key,
        "decision": decision.decision.value if decision else None,
        "reasons": list(decision.reasons) if decision else [],
        "evidence": decision.evidence if decision else {},
        "compared_with": str(decision.champion) if decision and decision.champion else None,
        "comparison": decision.comparison if decision else None,
        "test_hash": decision.test_hash if decision else None,
        "promotions": [promotion_json(traced) for traced in item.promotions],
    }


def promotion_json(traced: TracedPromotion) -> dict[str, Any]:
    """Return a promotion as scripts see it; a step that still waits has no `done_at`."""
    promotion = traced.promotion
    previous = promotion.previous_version
    return {
        "id": promotion.id,
        "version": str(promotion.model_version),
        "previous_version": None if previous is None else str(previous),
        "reason": promotion.reason.value,
        "asked_by": promotion.asked_by,
        "note": promotion.note,
        "created_at": promotion.created_at.isoformat(),
        "steps": [
            *({"step": s.step.value, "detail": s.detail, "done_at": s.done_at.isoformat()} for s in traced.done),
            *({"step": step.value, "detail": None, "done_at": None} for step in traced.open),
        ],
    }
