"""The pipeline for real: `dvc repro` on a dozen tiny photos, run, run again, killed, taken up and cancelled."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.fold_runner import FOLDS, CloneFoldPredictor
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.pipeline import DvcPipelineRunner, run_name
from damageloop.adapters.provenance import file_sha256
from damageloop.adapters.trial_runner import CloneTrialRunner
from damageloop.adapters.workspace import create_workspace
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.snapshot import SnapshotEntry, UnlabeledEntry
from damageloop.domain.snapshot_shards import Shards
from damageloop.domain.split import Split
from damageloop.errors import ConflictError, DamageloopError, NotFoundError, UnavailableError
from damageloop.params import load_params
from damageloop.ports import FoldRequest, SnapshotDraft, TrainingRequest, TrainingResult
from damageloop.ports.sweep import TrialRequest
from workers.stages.quiet import quiet_ultralytics

ROOT = Path(__file__).parents[2]
N_EPOCHS = 12
N_LABELED, N_UNLABELED = 12, 4


@dataclass(frozen=True)
class Site:
    """A workspace with one snapshot of a dozen photos."""

    root: Path
    tag: str

    def runner(self, weights: str = "weights") -> DvcPipelineRunner:
        environment = self._environment(weights)
        return DvcPipelineRunner(self.root / "workspace", self.root / "runs", str(self.root / "remote"), environment)

    def trial_runner(self) -> CloneTrialRunner:
        return CloneTrialRunner(
            self.root / "workspace",
            self.root / "trials",
            str(self.root / "remote"),
            lambda base: self._environment("weights"),
        )

    def _environment(self, weights: str) -> dict[str, str]:
        return {
            "DAMAGELOOP_IMAGE_STORE_URL": str(self.root / "images"),
            "DAMAGELOOP_WEIGHTS_DIR": str(self.root / weights),
            "PYTHONPATH": str(ROOT),
        }

    def folder(self, request: TrainingRequest) -> Path:
        return self.root / "runs" / run_name(request)


@pytest.fixture(name="site", scope="module")
def site_(tmp_path_factory: pytest.TempPathFactory) -> Site:
    root = tmp_path_factory.mktemp("site")
    _save_base(root / "weights" / "tiny.pt")
    photos = _store_photos(FsspecImageStore(root / "images", ImageLimits(10**7, 10**7, 16)), N_LABELED + N_UNLABELED)
    entries = photos[:N_LABELED]
    unlabeled = tuple(UnlabeledEntry(e.sha256, e.extension) for e in photos[N_LABELED:])
    create_workspace(root / "workspace", ROOT / "dvc.yaml", ROOT / "params.yaml", str(root / "remote"))
    store = DvcSnapshotStore(root / "workspace", str(root / "remote"))
    _edit_params(root / "workspace" / "params.yaml")
    return Site(root, store.write(SnapshotDraft(1, Shards.of(entries), {"code_revision": "test"}, unlabeled))[0])


def _save_base(target: Path) -> None:
    quiet_ultralytics()
    from ultralytics import YOLO

    target.parent.mkdir()
    YOLO("yolo11n.yaml", task="detect", verbose=False).save(str(target))


def _store_photos(store: FsspecImageStore, n_photos: int) -> list[SnapshotEntry]:
    rng = np.random.default_rng(0)
    entries = []
    for number in range(n_photos):
        pixels = rng.integers(90, 160, (48, 64, 3), dtype=np.uint8)
        boxes: tuple[LabeledBox, ...] = ()
        if number % 2:
            pixels[10:30, 20:50] = (230, 20, 20)
            boxes = (LabeledBox("dent", Box(20.0, 10.0, 50.0, 30.0)),)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        stored = store.put(buffer.getvalue(), f"{number}.png")
        split = (Split.TRAIN, Split.VAL, Split.TEST)[number // 2 % 3]
        verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
        entries.append(
            SnapshotEntry(stored.sha256, stored.extension, stored.size_wh, f"car-{number}", split, verdict, boxes)
        )
    return entries


def _edit_params(path: Path) -> None:
    text = path.read_text()
    for key, value in (
        ("base", "tiny.pt"),
        ("image_size", "64"),
        ("epochs", str(N_EPOCHS)),
        ("batch_size", "4"),
    ):
        text = re.sub(rf"^  {key}: .*$", f"  {key}: {value}", text, flags=re.MULTILINE)
    path.write_text(text)


def never() -> bool:
    return False


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DAMAGELOOP_RUN_FOLDER") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until_gone(folder: Path, timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while processes_in(folder):
        assert time.monotonic() < until, "the training outlives its owner"
        time.sleep(0.1)


@dataclass(frozen=True)
class Finished:
    """A training whose first worker was killed, and which a second one finished."""

    request: TrainingRequest
    told: list[tuple[float, str]]
    result: TrainingResult


@pytest.fixture(name="finished", scope="module")
def finished_(site: Site) -> Finished:
    request = TrainingRequest(site.tag, "key-1", "run-1")
    worker = _start_worker(site, request)
    _wait_for_epoch(site.folder(request), 3)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    wait_until_gone(site.folder(request))
    told: list[tuple[float, str]] = []
    result = site.runner().run(request, lambda share, message, detail=None: told.append((share, message)), never)
    return Finished(request, told, result)


def test_a_killed_worker_leaves_no_training_behind_and_its_successor_goes_on(finished: Finished) -> None:
    epochs = [int(found[1]) for _, text in finished.told if (found := re.match(r"epoch (\d+) of", text))]
    assert epochs
    # Not from the start, and to the same end as an unbroken one.
    assert min(epochs) >= 2
    assert max(epochs) == N_EPOCHS
    assert [share for share, _ in finished.told] == sorted(share for share, _ in finished.told)


def test_a_training_leaves_a_release_and_a_second_run_of_it_does_nothing(site: Site, finished: Finished) -> None:
    result = finished.result
    assert {"model.xml", "model.bin", "weights.pt", "agreement.json"} == set(result.export_files)
    assert json.loads(result.export_files["agreement.json"].read_text())["n_unmatched"] == 0
    assert (result.labels, result.image_size) == (("scratch", "dent"), 64)
    assert set(result.thresholds) == {"scratch", "dent"}
    assert result.none_calibration is not None
    assert {"none", "thresholds", "training"} <= set(result.card)
    assert result.metrics["test"]["images"] == 4
    assert result.metrics["test"]["per_class"]["dent"]["boxes"] == 2
    assert result.provenance == {"code_revision": "test"}
    assert (result.precision, result.card["precision"]["chosen"]) == ("f32", "f32")

    weights = site.folder(finished.request) / "build" / "weights.pt"
    before = weights.stat().st_mtime_ns
    assert site.runner().run(finished.request, lambda *_: None, never) == result
    assert weights.stat().st_mtime_ns == before


@pytest.mark.full
def test_the_same_snapshot_gives_the_same_weights_and_figures_bit_for_bit(site: Site) -> None:
    results = [site.runner().run(TrainingRequest(site.tag, key, "run"), lambda *_: None, never) for key in ("a", "b")]
    hashes = [file_sha256(result.export_files["weights.pt"]) for result in results]
    assert hashes[0] == hashes[1]
    assert results[0].metrics == results[1].metrics
    assert results[0].thresholds == results[1].thresholds
    log = (site.folder(TrainingRequest(site.tag, "a", "run")) / "build" / "repro.log").read_text()
    assert "Warning: the code is" in log


def _start_worker(site: Site, request: TrainingRequest) -> subprocess.Popen[bytes]:
    """Start a process that runs the training, as a worker does."""
    script = (
        "import sys; from pathlib import Path; from damageloop.ports import TrainingRequest;"
        "from tests.integration.test_pipeline import Site, never;"
        "Site(Path(sys.argv[1]), '').runner().run(TrainingRequest(*sys.argv[2:]), lambda *_: None, never)"
    )
    argv = [
        sys.executable,
        "-c",
        script,
        str(site.root),
        request.git_tag,
        request.training_key,
        request.run_id,
    ]
    return subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _wait_for_epoch(folder: Path, number: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        file = folder / "build" / "progress.json"
        found = re.search(r"epoch (\d+) of", file.read_text()) if file.exists() else None
        if found and int(found[1]) >= number:
            return
        time.sleep(0.05)
    raise AssertionError("the training did not get there")


def test_a_cancelled_training_ends_within_seconds(site: Site) -> None:
    request = TrainingRequest(site.tag, "key-3", "run-3")
    asked_at: list[float] = []

    def is_cancelled() -> bool:
        if (site.folder(request) / "build" / "dataset.json").exists():
            asked_at.append(time.monotonic())
        return bool(asked_at)

    with pytest.raises(ConflictError, match="cancelled"):
        site.runner().run(request, lambda *_: None, is_cancelled)
    assert time.monotonic() - asked_at[0] < 5.0
    assert processes_in(site.folder(request)) == []


def test_a_failing_stage_is_told_in_its_own_words(site: Site) -> None:
    request = TrainingRequest(site.tag, "key-4", "run-4")
    with pytest.raises(DamageloopError, match=r"weights file tiny\.pt was not found") as failure:
        site.runner(weights="nowhere").run(request, lambda *_: None, never)
    # Trying again would not help.
    assert not isinstance(failure.value, UnavailableError)


def test_a_tag_that_does_not_exist_is_not_found(site: Site) -> None:
    with pytest.raises(NotFoundError):
        site.runner().run(TrainingRequest("snapshot-0099", "key-5", "run-5"), lambda *_: None, never)


def test_a_trial_trains_with_its_own_settings_and_leaves_figures_on_val_and_no_release(site: Site) -> None:
    params = load_params(site.root / "workspace" / "params.yaml")
    sections = params.model_dump(mode="json", include={"model", "training"})
    # Every box of the teacher counts: a network with random weights is sure of nothing.
    semi = {"enabled": True, "burn_in_share": 0.5, "confidence": 0.0001, "ambiguous_from": 0.0001}
    sections["training"] |= {"epochs": 2, "semi_supervised": sections["training"]["semi_supervised"] | semi}
    request = TrialRequest(site.tag, "sweep-0001", 3, "run-6", sections)
    figures = site.trial_runner().run_trial(request, lambda *_: None, never)
    assert (figures["images"], figures["per_class"]["dent"]["boxes"]) == (4, 2)

    (folder,) = (site.root / "trials").iterdir()
    assert not (folder / "build" / "export").exists()
    assert load_params(folder / "params.yaml").training.epochs == 2
    # The snapshot's unlabeled images were looked at, once the burn-in was over.
    (counts,) = json.loads((folder / "build" / "train" / "pseudo_labels.json").read_text())
    assert (counts["epoch"], counts["looked_at"], counts["used"]) == (1, 4, 4)


@pytest.mark.full
def test_each_train_image_is_predicted_by_a_fold_that_left_it_out_and_a_finished_fold_is_kept(site: Site) -> None:
    entries = DvcSnapshotStore(site.root / "workspace", str(site.root / "remote")).read(site.tag)
    train = {entry.sha256 for entry in entries if entry.split is Split.TRAIN}
    val = {entry.sha256 for entry in entries if entry.split is Split.VAL}
    environment = {
        "DAMAGELOOP_IMAGE_STORE_URL": str(site.root / "images"),
        "DAMAGELOOP_WEIGHTS_DIR": str(site.root / "weights"),
        "PYTHONPATH": str(ROOT),
    }
    folds = CloneFoldPredictor(site.root / "workspace", site.root / "folds", str(site.root / "remote"), environment)
    request = FoldRequest(site.tag, n_folds=2, seed=0, held_out=tuple(val))
    told: list[tuple[float, str]] = []
    found = folds.predict(request, lambda share, message, detail=None: told.append((share, message)), never)
    assert set(found) == train | val
    assert any(text.startswith("fold 2 of 2") for _, text in told)

    clone = site.root / "folds" / f"{site.tag}-2-0"
    results = [clone / FOLDS / f"{fold}.json" for fold in (0, 1)]
    predicted = [set(json.loads(file.read_text())["detections"]) & train for file in results]
    assert [len(part) for part in predicted] == [2, 2]
    assert not predicted[0] & predicted[1]

    results[1].unlink()
    before = results[0].stat().st_mtime_ns
    assert folds.predict(request, lambda *_: None, never) == found
    assert results[0].stat().st_mtime_ns == before
