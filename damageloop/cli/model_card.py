"""The command that shows a model's card: how sure its "None" is, and what it was never taught."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from damageloop.bootstrap.cli import make_core
from damageloop.bootstrap.core import Core
from damageloop.cli.card_words import card_lines
from damageloop.cli.output import JsonOption, print_json, say
from damageloop.cli.reliability_plot import reliability_svg
from damageloop.domain.release import ReleaseManifest, manifest_to_json
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.services.serving.answering_rules import answering_rules


def card(
    version: Annotated[int | None, typer.Argument(help="The champion if left out.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the reliability into this SVG file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a model: how sure its None is, false alarms, thresholds, what it never saw."""
    core = make_core()
    manifest = core.releases.manifest(_champion(core) if version is None else version)
    if plot:
        _draw(manifest, plot)
    now = answering_rules(manifest.none_calibration, core.params.serving)
    if as_json:
        print_json({"card": None, **manifest_to_json(manifest), "answering": now})
        return
    say(f"Model {manifest.model_version}: {', '.join(manifest.labels)}; {manifest.image_size} px, {manifest.precision}")
    prevalence = now["damage_prevalence"]
    share = "taken to be that of val" if prevalence is None else f"{prevalence:g}"
    say("Now it may answer None" if now["says_none"] else f"Now it never answers None. {now['why_not']}")
    say(f"  from P(no damage) {now['none_probability_min']:g} on, the share of damaged photos being {share}")
    for line in card_lines(manifest.card):
        say(line)
    if plot:
        say(f"The reliability is drawn in {plot}.")


def _champion(core: Core) -> int:
    with core.units(read_only=True) as work:
        promotion = work.models.champion()
    if promotion is None:
        raise NotFoundError("There is no champion yet; name a version.")
    return promotion.model_version


def _draw(manifest: ReleaseManifest, target: Path) -> None:
    bins = (manifest.card.get("none") or {}).get("reliability")
    if not bins:
        raise InvalidInputError(f"The reliability of model {manifest.model_version} was not measured.")
    try:
        target.write_text(reliability_svg(bins, f"Model {manifest.model_version} on its test photos"))
    except OSError as exc:
        raise InvalidInputError(f"{target} could not be written: {exc.strerror}.") from exc
