"""How people work: agreement, known items, what becomes of pre-labels; for coaching."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.cli.output import JsonOption, print_json, print_table, say
from damageloop.domain.quality import QualityShare
from damageloop.services.reviews.quality import AnnotatorQuality, Quality, Rates


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quality")(quality)


def quality(
    annotator: Annotated[str | None, typer.Option(help="Only this person, as user-3.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the quality of people's work, by name; below 20 photos there is too little to tell."""
    core = make_core()
    service = Quality(core.units, lambda: core.params)
    if annotator is not None:
        found = service.of(annotator)
        print_json(asdict(found)) if as_json else _print_people([found])
        return
    report = service()
    if as_json:
        print_json(asdict(report))
        return
    say(f"About the newest {report.newest} annotations at most; limits are two-sided 90 %.")
    _print_people(report.by_annotator)
    print_table("Pre-labels by class", ("class", "accepted", "edited", "deleted", "added"), map(_row, report.by_class))
    bias = report.automation_bias
    say(f"Answered as suggested: {_text(bias.same_shown)} shown, {_text(bias.same_hidden)} hidden.")
    say(f"Damages that were not suggested: {_text(bias.added_shown)} shown, {_text(bias.added_hidden)} hidden.")


def _print_people(people: tuple[AnnotatorQuality, ...] | list[AnnotatorQuality]) -> None:
    rows = [
        (p.annotator, p.photos, _text(p.known.verdict_right), _text(p.known.found), _text(p.agreement.same_verdict))
        for p in people
    ]
    columns = ("annotator", "photos", "known items right", "known damages found", "same verdict as others")
    print_table("Annotators by name", columns, rows)
    columns = ("annotator", "accepted", "edited", "deleted", "added")
    print_table("Pre-labels by annotator", columns, [_row(p.rates) for p in people])


def _row(rates: Rates) -> tuple[str, ...]:
    return (rates.name, *(_text(s) for s in (rates.accepted, rates.edited, rates.deleted, rates.added)))


def _text(share: QualityShare) -> str:
    if share.value is None:
        return f"too few to tell ({share.photos} photos)"
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%}) of {share.count}"
