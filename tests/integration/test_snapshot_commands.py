"""`damageloop snapshot` and the routes about snapshots, on a real workspace with two of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from damageloop.adapters.clock import SystemClock
from damageloop.adapters.coco import read_coco
from damageloop.adapters.dvc import DvcSnapshotStore
from damageloop.adapters.images import FsspecImageStore, ImageLimits
from damageloop.adapters.workspace import create_workspace
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.cli.app import app
from damageloop.domain.annotation import Annotation, ImportedTruth, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.image import Image, Origin
from damageloop.domain.split import Split
from damageloop.params import load_params
from damageloop.services.snapshots.build_snapshot import BuildSnapshot, Provenance
from damageloop.services.snapshots.inspect_snapshots import InspectSnapshots
from tests.fakes.clock import FakeClock
from tests.fakes.job_context import NoContext
from tests.fakes.photos import PARAMS_FILE
from tests.integration.api_world import ApiWorld, make_photo

ROOT = Path(__file__).parents[2]


def annotate(units: SqlUnitOfWorkFactory, clock: FakeClock, image: Image, x_max: float | None) -> None:
    clock.advance(seconds=1)
    boxes = (LabeledBox("dent", Box(10.0, 10.0, x_max, 60.0)),) if x_max else ()
    verdict = Verdict.DAMAGED if boxes else Verdict.CLEAN
    with units() as work:
        work.annotations.upsert(Annotation(image.id, verdict, boxes, "import", image.sha256, "ann", clock.now()))
        work.commit()


@pytest.fixture(name="home")
def home_(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, units: SqlUnitOfWorkFactory, clock: FakeClock
) -> Path:
    """Six photos, and two snapshots between which one box moved."""
    home = tmp_path / "home"
    monkeypatch.setenv("DAMAGELOOP_HOME", str(home))
    monkeypatch.setenv("DAMAGELOOP_DATABASE_URL", database_url)
    remote = home / "dvc-remote"
    create_workspace(home / "workspace", ROOT / "dvc.yaml", PARAMS_FILE, str(remote))
    store = FsspecImageStore(home / "images", ImageLimits(10**7, 10**7, 16))
    images = []
    with units() as work:
        for number in range(6):
            stored = store.put(make_photo((320 + number, 240)), "x.jpg")
            split = list(Split)[number // 2]
            images.append(work.images.add(stored, f"{number}.jpg", f"car{number}", split, Origin.IMPORT))
        work.commit()
    for number, image in enumerate(images):
        annotate(units, clock, image, 60.0 if number % 2 else None)
    snapshots = DvcSnapshotStore(home / "workspace", str(remote))
    provenance = Provenance("code-1", "lock-1", "base.pt", "cd" * 32)
    build = BuildSnapshot(units, snapshots, lambda: provenance, SystemClock(), load_params(PARAMS_FILE))
    build({}, NoContext())
    annotate(units, clock, images[1], 70.0)
    build({}, NoContext())
    return home


def run(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["snapshot", *words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_snapshots_are_checked_compared_laid_out_and_verified(home: Path, world: ApiWorld, tmp_path: Path) -> None:
    assert run("check")["ok"]
    difference = run("diff", "1", "2")
    assert difference["boxes"] == {"added": 0, "removed": 0, "moved": 1, "relabeled": 0}
    assert difference["changes"][0]["boxes"][0]["after"] == {"damage_class": "dent", "box": [10.0, 10.0, 70.0, 60.0]}

    laid_out = run("checkout", "snapshot-0002", str(tmp_path / "set"), "--format", "yolo")
    assert (laid_out["images"], len(list((tmp_path / "set").rglob("*.jpg")))) == (6, 6)
    assert CliRunner().invoke(app, ["snapshot", "checkout", "2", str(tmp_path / "set")]).exit_code == 1
    _same_as_export(tmp_path)

    assert [item["ok"] for item in run("verify")["snapshots"]] == [True, True]
    _over_http(home, world)

    next((home / "images").rglob("*.jpg")).unlink()
    shutil.rmtree(home / "dvc-remote")
    (broken,) = run("verify", "snapshot-0002", code=1)["snapshots"]
    assert len(broken["violations"]) == 2


def _same_as_export(folder: Path) -> None:
    """An export of a snapshot has its labels, and one without a snapshot those that count: here the newest's."""
    for snapshot in ("1", "2"):
        run("checkout", snapshot, str(folder / f"checked-out-{snapshot}"))
        words = ["export", str(folder / f"exported-{snapshot}"), "--snapshot", snapshot]
        assert CliRunner().invoke(app, words).exit_code == 0
        assert _labels(folder / f"exported-{snapshot}") == _labels(folder / f"checked-out-{snapshot}")
    assert CliRunner().invoke(app, ["export", str(folder / "now")]).exit_code == 0
    assert _truths(folder / "now") == _truths(folder / "exported-2") != _truths(folder / "exported-1")


def _labels(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "annotations").iterdir()}


def _truths(folder: Path) -> dict[str, ImportedTruth]:
    """Return what the files say in whatever order."""
    files = (read_coco(path) for path in (folder / "annotations").iterdir())
    return {name: truth for file in files for name, truth in file.truths.items()}


def _over_http(home: Path, world: ApiWorld) -> None:
    """Ask the routes for the same."""
    store = DvcSnapshotStore(home / "workspace", str(home / "dvc-remote"))
    world.snapshots = store  # type: ignore[assignment]
    client = world.client()
    difference = client.get("/v1/snapshots/1/diff/snapshot-0002").json()
    assert (difference["boxes"]["moved"], difference["n_changes"]) == (1, 1)
    assert difference["by_annotator"]["ann"]["boxes"]["moved"] == 1
    assert client.get("/v1/snapshots/1/diff/9").status_code == 404
    assert client.get("/v1/snapshots/1/diff/HEAD").status_code == 422
    assert client.get("/v1/snapshots/check").json()["ok"]
    newest = client.get("/v1/snapshots").json()["items"][-1]
    assert (newest["report"]["checked"], newest["report"]["annotators"]) == (1, {"ann": 6})
    assert isinstance(world.services.inspect_snapshots(), InspectSnapshots)
