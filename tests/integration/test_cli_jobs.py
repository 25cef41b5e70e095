"""`damageloop jobs` and `damageloop triggers`: what they print, what they ask for, and how they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.cli.app import app
from damageloop.domain.job import JobKind, JobRequest, JobState
from damageloop.errors import ConflictError
from damageloop.ports.persistence import UnitOfWorkFactory
from tests.factories import MOMENT
from tests.fakes.photos import PARAMS_FILE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: UnitOfWorkFactory) -> Path:
    """An installation with a failed and a waiting job."""
    folder = tmp_path / "home"
    (folder / "workspace").mkdir(parents=True)
    shutil.copy(PARAMS_FILE, folder / "workspace" / "params.yaml")
    monkeypatch.setenv("DAMAGELOOP_HOME", str(folder))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    with units() as work:
        work.jobs.request(JobRequest(JobKind.PROMOTE, "promote:v2", {"model_version": 2}, "promotion"), MOMENT)
        work.jobs.begin(1, MOMENT, MOMENT)
        work.jobs.finish(1, 1, JobState.FAILED, MOMENT, None, "The release is damaged.")
        work.jobs.request(JobRequest(JobKind.CLOSE_ROUND, "close_round:1"), MOMENT)
        work.commit()
    return folder


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run_json(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def messages(home: Path, queue: str) -> list[str]:
    """Return the tasks that wait in the embedded broker."""
    waiting = (home / "broker" / "messages").glob(f"*.{queue}.msg")
    return [json.loads(path.read_text())["headers"]["task"] for path in waiting]


def test_a_failed_job_is_tried_again_as_a_new_one_and_a_worker_is_told(home: Path) -> None:
    assert run("jobs", "retry", "1") == "Job 3 (promote:v2) tries it again.\n"
    new = run_json("jobs")[0]
    assert (new["parent_id"], new["flight"], new["inputs"]) == (1, "promotion", {"model_version": 2})
    assert messages(home, "default") == ["damageloop.run_job"]


def test_a_waiting_job_is_cancelled_and_says_so() -> None:
    assert run("jobs", "cancel", "2") == "Job 2 is cancelled.\n"
    with pytest.raises(ConflictError, match="already cancelled"):
        run("jobs", "cancel", "2")


def test_a_wish_is_asked_listed_and_withdrawn_and_the_loop_is_woken(home: Path) -> None:
    made = run_json("triggers", "ask", "training", "--reason", "boxes were redrawn")
    assert (made["kind"], made["origin"], made["outcome"]) == ("training", "person", None)
    assert messages(home, "default") == ["damageloop.advance"]
    assert run_json("triggers") == run_json("triggers", "list") == [made]
    assert "boxes were redrawn" in run("triggers")
    assert "withdrawn by" in run("triggers", "withdraw", str(made["id"]))


@pytest.mark.parametrize("words", [("ask", "lunch", "--reason", "noon"), ("ask", "audit"), ("withdraw", "0")])
def test_wrong_use_ends_with_two(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["triggers", *words]).exit_code == 2
