"""A sweep through the ledger, on real SQLite and a real Optuna study; only the trainings are played."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from damageloop.adapters.optuna_search import OptunaStudy
from damageloop.adapters.params_file import changed_text, difference
from damageloop.adapters.trial_runner import write_sections
from damageloop.domain.job import Job, JobKind, JobState
from damageloop.domain.snapshot import Snapshot
from damageloop.domain.sweep import TrialState
from damageloop.errors import CancelledError, ConflictError, DamageloopError, InvalidInputError, UnavailableError
from damageloop.params import Params, parse_params
from damageloop.ports import Progress
from damageloop.ports.sweep import TrialRequest
from damageloop.services.loop.cancel_job import CancelJob
from damageloop.services.loop.ledger import LEASE, Ledger
from damageloop.services.models.apply_sweep import ApplySweep
from damageloop.services.models.request_sweep import LAST_SWEEP, RequestSweep, SweepPlan, proposed_sweep, sweep_jobs
from damageloop.services.models.sweep import MAX_ATTEMPTS, RunSweep
from tests.fakes.clock import FakeClock
from tests.fakes.database import SqliteUnits, sqlite_units
from tests.fakes.job_queue import FakeJobQueue
from tests.fakes.photos import PARAMS_FILE, make_params
from tests.fakes.training import FakeRegistry

SPACE = {"model.image_size": [256, 320, 416], "training.learning_rate": {"low": 0.0005, "high": 0.005, "log": True}}
PARAMS = make_params(
    model={"base": "starter-yolo11n.pt", "image_size": 256},
    training={"learning_rate": 0.002},
    sweep={"max_trials": 4, "max_minutes": 60.0, "space": SPACE},
)
TRIAL_SECONDS = 600.0


class KilledError(BaseException):
    """What a worker that is killed looks like from inside."""


@dataclass
class FakeTrials:
    """Implements `TrialRunner`: larger images are better, and each trial takes ten minutes of the fake clock."""

    clock: FakeClock
    tried: list[TrialRequest] = field(default_factory=list)
    before: Callable[[TrialRequest], None] = lambda request: None

    def run_trial(self, request: TrialRequest, progress: Progress, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        self.tried.append(request)
        progress(0.5, "epoch 3 of 6")
        self.before(request)
        self.clock.advance(seconds=TRIAL_SECONDS)
        if is_cancelled():
            raise CancelledError("The trial was cancelled.")
        return {"map50": request.sections["model"]["image_size"] / 1000.0, "per_class": {"dent": {"ap50": 0.5}}}


@dataclass
class Site:
    """One installation with one snapshot."""

    folder: Path
    units: SqliteUnits
    clock: FakeClock
    registry: FakeRegistry
    trials: FakeTrials

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.units, FakeJobQueue(), self.clock)

    def request(self, params: Params = PARAMS, **budget: Any) -> Job:
        known = {"starter-yolo11n.pt", "yolo11s.pt"}
        return RequestSweep(self.units, self.ledger, params, known.__contains__)(**budget)

    def run(self, job: Job) -> JobState | None:
        sweep = RunSweep(self.units, self.trials, self.registry, self.open_study, self.clock)
        return self.ledger.run(job.id, {JobKind.SWEEP: sweep})

    def open_study(self, sweep_id: str, seed: int = 0) -> OptunaStudy:
        return OptunaStudy(self.folder / f"{sweep_id}.db", sweep_id, seed)

    def job(self, job: Job) -> Job:
        with self.units(read_only=True) as work:
            return work.jobs.get(job.id)

    def apply(self, params: Params = PARAMS, *, is_forced: bool = False) -> Any:
        return ApplySweep(self.units, self.open_study, params)("sweep-0001", is_forced=is_forced)

    def add_snapshot(self, number: int, n_images: int) -> None:
        counts = {"train": {"images": n_images, "clean": 1, "groups": n_images, "boxes": {"dent": n_images}}}
        tag = f"snapshot-{number:04d}"
        found = Snapshot(number, tag, "c", str(number), None, counts, "r", "l", "p", self.clock.now())
        with self.units() as work:
            work.snapshots.add(found, annotation_sequence=number)
            work.commit()


@pytest.fixture(name="site")
def site_(tmp_path: Path) -> Iterator[Site]:
    clock = FakeClock()
    with sqlite_units(tmp_path, clock) as units:
        site = Site(tmp_path, units, clock, FakeRegistry(), FakeTrials(clock))
        site.add_snapshot(1, 200)
        yield site


def test_a_sweep_tries_the_settings_in_force_first_and_names_its_winner(site: Site) -> None:
    job = site.request()
    assert (job.inputs["sweep_id"], job.queue.value) == ("sweep-0001", "training")
    assert site.run(job) is JobState.SUCCEEDED
    first, *others = site.trials.tried
    assert first.sections["model"]["image_size"] == 256
    assert first.sections["training"] == PARAMS.training.model_dump(mode="json")
    assert len(others) == 3
    assert {request.git_tag for request in site.trials.tried} == {"snapshot-0001"}
    result = site.job(job).result
    assert result is not None
    best = max(request.sections["model"]["image_size"] for request in site.trials.tried)
    assert result["best"]["map50"] == best / 1000.0
    assert (result["trials"], result["failed"], result["map50_before"]) == (4, 0, 0.256)
    # One run above four, all of them ended, and no model.
    assert [run.state for run in site.registry.runs.values()] == ["finished"] * 5
    assert site.registry.versions == {}


def test_the_budget_in_minutes_ends_the_trial_that_is_under_way(site: Site) -> None:
    job = site.request(max_trials=50, max_minutes=25.0)
    assert site.run(job) is JobState.SUCCEEDED
    trials = site.open_study("sweep-0001").trials()
    assert [trial.state for trial in trials] == [TrialState.FINISHED, TrialState.FINISHED, TrialState.FAILED]
    assert trials[-1].reason == "The time of the sweep was up."


def test_a_failed_trial_is_told_and_the_sweep_goes_on(site: Site) -> None:
    def fail_second(request: TrialRequest) -> None:
        if request.number == 1:
            raise DamageloopError("The trial failed: params.yaml: model.image_size: too odd.")

    site.trials.before = fail_second
    job = site.request()
    assert site.run(job) is JobState.SUCCEEDED
    trials = site.open_study("sweep-0001").trials()
    assert [trial.state.value for trial in trials] == ["finished", "failed", "finished", "finished"]
    assert "too odd" in (trials[1].reason or "")
    assert [run.state for run in site.registry.runs.values()].count("failed") == 1


def test_a_sweep_whose_first_trials_all_fail_is_given_up(site: Site) -> None:
    def fail(request: TrialRequest) -> None:
        raise DamageloopError("no weights")

    site.trials.before = fail
    job = site.request()
    assert site.run(job) is JobState.FAILED
    assert site.job(job).error == "The first 3 trials failed, the last one: no weights"
    assert {run.state for run in site.registry.runs.values()} == {"failed"}


def test_a_killed_sweep_goes_on_with_the_trials_it_has(site: Site) -> None:
    def kill_third(request: TrialRequest) -> None:
        if request.number == 2 and sum(other.number == 2 for other in site.trials.tried) == 1:
            raise KilledError

    site.trials.before = kill_third
    job = site.request()
    with pytest.raises(KilledError):
        site.run(job)
    site.clock.advance(seconds=LEASE.total_seconds() + 1)
    assert site.run(job) is JobState.SUCCEEDED
    assert [request.number for request in site.trials.tried] == [0, 1, 2, 2, 3]
    lost, again = site.trials.tried[2:4]
    assert lost == again


def test_a_trial_that_is_lost_again_and_again_does_not_stop_the_sweep(site: Site) -> None:
    def lose_second(request: TrialRequest) -> None:
        if request.number == 1:
            raise UnavailableError("The trial was killed from outside.")

    site.trials.before = lose_second
    job = site.request()
    for _ in range(MAX_ATTEMPTS):
        assert site.run(job) is JobState.QUEUED
    assert site.run(job) is JobState.SUCCEEDED
    trials = site.open_study("sweep-0001").trials()
    assert [trial.state.value for trial in trials] == ["finished", "failed", "finished", "finished"]
    assert "memory" in (trials[1].reason or "")


def test_a_cancelled_sweep_keeps_its_trials_and_a_retry_finishes_it(site: Site) -> None:
    cancelled: list[Job] = []

    def cancel_second(request: TrialRequest) -> None:
        if request.number == 1 and not cancelled:
            cancelled.append(CancelJob(site.units, site.clock)(job.id, "ann"))

    site.trials.before = cancel_second
    job = site.request()
    # The worker is told at its next beat.
    site.trials.run_trial = _beating(site.trials)  # type: ignore[method-assign]
    assert site.run(job) is JobState.CANCELLED
    assert site.apply().trial.number == 0

    again = site.ledger.request([_request_of(job)])[0]
    assert site.run(again) is JobState.SUCCEEDED
    trials = site.open_study("sweep-0001").trials()
    assert [trial.state.value for trial in trials] == ["finished"] * 4
    assert trials[1].attempts == 1


def _beating(trials: FakeTrials) -> Callable[..., dict[str, Any]]:
    run_trial = trials.run_trial

    def run(request: TrialRequest, progress: Progress, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        result = run_trial(request, progress, is_cancelled)
        progress(1.0, "done")
        return result

    return run


def _request_of(job: Job) -> Any:
    from damageloop.domain.job import JobRequest

    return JobRequest(job.kind, job.key, job.inputs)


def test_one_sweep_at_a_time_and_none_without_a_snapshot_or_a_budget(site: Site) -> None:
    with pytest.raises(InvalidInputError, match="at least one trial"):
        site.request(max_trials=0)
    site.request()
    with pytest.raises(ConflictError, match="sweep-0001 is queued"):
        site.request()


def test_bases_that_no_folder_has_are_left_out_and_the_one_in_force_stays(site: Site) -> None:
    bases = ["yolo11s.pt", "yolo26n.pt"]
    plan = SweepPlan.from_json(site.request(make_params(sweep={"space": {"model.base": bases}})).inputs)
    assert plan.left_out == ("yolo26n.pt",)
    assert plan.space["model.base"].values == ("yolo11s.pt", "starter-yolo11n.pt")  # type: ignore[union-attr]


def test_the_winner_is_taken_over_only_beside_the_parameters_it_won_with(site: Site) -> None:
    job = site.request()
    with pytest.raises(ConflictError, match="queued"):
        site.apply()
    site.run(job)
    winner = site.apply()
    assert winner.changed_meanwhile == ()
    assert set(winner.changes) <= set(SPACE)
    assert winner.changes["model.image_size"] == winner.trial.values["model.image_size"]

    changed = PARAMS.model_copy(update={"training": PARAMS.training.model_copy(update={"epochs": 99})})
    with pytest.raises(ConflictError, match=r"training\.epochs changed"):
        site.apply(changed)
    assert site.apply(changed, is_forced=True).changes == winner.changes


def test_a_sweep_is_proposed_from_the_last_one_on(site: Site) -> None:
    with site.units(read_only=True) as work:
        assert proposed_sweep(work, PARAMS) is None
    site.add_snapshot(2, 320)
    with site.units(read_only=True) as work:
        assert "60% more" in (proposed_sweep(work, PARAMS) or "")
    site.run(site.request())
    with site.units(read_only=True) as work:
        assert work.facts.get(LAST_SWEEP) == {"sweep_id": "sweep-0001", "snapshot_id": 2}
        assert proposed_sweep(work, PARAMS) is None
        assert [job.inputs["sweep_id"] for job in sweep_jobs(work)] == ["sweep-0001"]


def test_the_winner_is_written_without_touching_comments_or_anything_else(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS_FILE.read_text())
    assert difference(path, changed_text(path, {})) == ""
    text = changed_text(path, {"model.image_size": 416, "training.learning_rate": 0.001235})
    changed = [line for line in difference(path, text).splitlines()[2:] if line[0] in "+-"]
    assert [line[1:].split(":")[0].strip() for line in changed] == ["image_size"] * 2 + ["learning_rate"] * 2
    params = parse_params(yaml.safe_load(text))
    assert (params.model.image_size, params.training.learning_rate) == (416, 0.001235)
    with pytest.raises(InvalidInputError, match=r"no training\.colour"):
        changed_text(path, {"training.colour": 1})


def test_a_trials_clone_gets_its_sections_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS_FILE.read_text())
    sections = PARAMS.model_dump(mode="json", include={"model", "training"})
    sections["training"]["epochs"] = 7
    write_sections(path, sections)
    params = parse_params(yaml.safe_load(path.read_text()))
    assert params.training.epochs == 7
    assert params.labels == PARAMS.labels
    before = path.stat().st_mtime_ns
    write_sections(path, sections)
    assert path.stat().st_mtime_ns == before
