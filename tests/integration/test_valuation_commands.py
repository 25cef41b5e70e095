"""`damageloop valuations`: what is shown, and that a valuation that comes out differently is told by the exit code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from damageloop.cli.app import app
from damageloop.domain.valuation.explain import valuation_to_json
from damageloop.domain.valuation.price import value
from damageloop.domain.valuation.seen import case_to_json
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.valuation_rules import kept_rules
from damageloop.valuation_params import ValuationParams
from tests.factories import MOMENT
from tests.fakes.photos import PARAMS_FILE
from tests.unit.domain.valuation.cases import MODERATE, VALUATION, make_case, photo, severities


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: UnitOfWorkFactory) -> None:
    """An installation with a sound valuation, and one whose answer is not what its rules say."""
    (tmp_path / "home" / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, tmp_path / "home" / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    kept = kept_rules(ValuationParams.model_validate(VALUATION), severities())
    case = make_case(photo(("dent", MODERATE)))
    made = valuation_to_json(case, kept.rules, value(case, kept.rules))
    with units() as work:
        version = work.valuations.version_of(kept.content_hash, kept.content, MOMENT)
        for valuation_id, change in (("sound", {}), ("other", {"base_price": "1.00"})):
            ids = {"valuation_id": valuation_id, "valuation_version": str(version), "model_version": "1"}
            answer = {**ids, **made, "request_ids": ["r"], **change}
            work.valuations.add(valuation_id, version, 1, {"answer": answer, "case": case_to_json(case)}, MOMENT)
        work.commit()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["valuations", *words])


def as_json(result: Result) -> Any:
    return json.loads(result.output)


def test_a_valuation_is_shown_with_its_rules() -> None:
    shown = as_json(run("show", "sound", "--json"))
    assert shown["answer"]["explanation"] == "One moderate dent lowers the price by EUR 500 (200 to 1,300)."
    assert shown["rules"]["valuation"]["costs"]["dent"]["moderate"]["expected"] == 500
    assert "One moderate dent" in run("show", "sound").output


def test_a_sound_valuation_replays_and_another_is_told_by_the_exit_code() -> None:
    sound = run("replay", "sound", "--json")
    assert (sound.exit_code, as_json(sound)["same"]) == (0, True)
    other = run("replay", "other", "--json")
    assert (other.exit_code, as_json(other)["differs"]) == (1, ["base_price"])
    every = run("replay", "--json")
    assert (every.exit_code, as_json(every)["replayed"]) == (1, 2)
