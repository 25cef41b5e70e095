"""When the faults are over: waits until nothing is under way, then looks at what must hold, from outside."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from damageloop.adapters.label_studio.regions import parse_annotation
from damageloop.domain.annotation import SOURCE
from damageloop.domain.job import Job, JobState
from damageloop.domain.promotion import open_steps
from damageloop.errors import DamageloopError
from tests.chaos.load import Written
from tests.chaos.world import World

Check = Callable[[World, Written], Iterator[str]]
# Looks in a row without anything under way, and the seconds between them.
QUIET_LOOKS = 3
LOOK_EVERY_S = 2.0
# A job that was struck in every attempt, or met a system that stayed away, has ended as promised.
_GIVEN_UP = re.compile(r"Its worker was lost in|Given up after")


def wait_until_quiet(world: World, timeout_s: float) -> list[str]:
    """Return what is still under way after the time; nothing when it is quiet."""
    deadline, quiet, found = time.monotonic() + timeout_s, 0, ["nothing was looked at"]
    while quiet < QUIET_LOOKS and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        found = list(_under_way(world))
        quiet = 0 if found else quiet + 1
    return found


def _under_way(world: World) -> Iterator[str]:
    try:
        with world.core.units(read_only=True) as work:
            yield from (f"job {job.id} {job.key} {job.state.value}: {job.message}" for job in work.jobs.active())
            if work.inbox.unprocessed(limit=1):
                yield "events wait in the inbox"
            promotion = work.models.champion()
            done = [step.step for step in work.models.steps(promotion.id)] if promotion else []
            # Between two looks at what lies outside the plan names no job.
            yield from (f"the promotion waits for {step.value}" for step in open_steps(done) if promotion)
        yield from (f"{job.key} is due" for job in world.worker().plan().jobs)
        if world.accept_stops():
            yield "snapshots were stopped"
    except DamageloopError as exc:
        yield str(exc)


def verify_says(world: World, _: Written) -> Iterator[str]:
    """`damageloop verify` finds no broken invariant."""
    done = world.run("damageloop", "verify", "--json")
    try:
        invariants = json.loads(done.stdout)["invariants"]
    except ValueError:
        yield f"no answer: {done.stderr[-500:]}"
        return
    for invariant in invariants:
        yield from (f"{invariant['name']}: {violation}" for violation in invariant["violations"])


def doctor_says(world: World, _: Written) -> Iterator[str]:
    """`damageloop doctor` finds nothing wrong, but that our disk is small."""
    done = world.run("damageloop", "doctor", "--json")
    for check in json.loads(done.stdout)["checks"]:
        if not check["ok"] and check["name"] != "disk":
            yield f"{check['name']}: {check['detail']}"


def export_agrees(world: World, written: Written) -> Iterator[str]:
    """Every annotation of Label Studio's own export is in the database once, with its last content."""
    exported = _export(world)
    with world.core.units(read_only=True) as work:
        rows = [a for a in work.annotations.all(SOURCE) if not a.is_deleted]
    for external_id, count in Counter(a.external_id for a in rows).items():
        if count > 1:
            yield f"annotation {external_id} is in the database {count} times"
    ours = {a.external_id: (a.image_id, a.verdict, a.boxes) for a in rows}
    for external_id in sorted(ours.keys() ^ exported.keys()):
        yield f"annotation {external_id} is only in {'the database' if external_id in ours else 'the export'}"
    for external_id in sorted(ours.keys() & exported.keys()):
        if ours[external_id] != exported[external_id]:
            yield f"annotation {external_id} has other content in the export"


def work_is_kept(world: World, written: Written) -> Iterator[str]:
    """What Label Studio acknowledged to an annotator is still in it."""
    exported = _export(world)
    for external_id in sorted(written.live.keys() - written.uncertain - exported.keys()):
        yield f"annotation {external_id} of image {written.live[external_id]} was acknowledged and is gone"


def _export(world: World) -> dict[str, Any]:
    path = f"/api/projects/{world.project_id()}/export"
    tasks = world.label_studio(path, exportType="JSON", download_all_tasks="true")
    return {
        str(annotation["id"]): (int(task["data"]["image_id"]), *parse_annotation(annotation))
        for task in tasks
        for annotation in task["annotations"]
    }


def jobs_ended(world: World, _: Written) -> Iterator[str]:
    """Every job ended, and none for an error that nobody can mend by waiting."""
    for job in all_jobs(world):
        if job.state in (JobState.QUEUED, JobState.RUNNING):
            yield f"job {job.id} {job.key} is still {job.state.value} (attempt {job.attempts}): {job.error}"
        elif job.state is JobState.FAILED and not _GIVEN_UP.search(job.error or ""):
            yield f"job {job.id} {job.key} failed: {job.error}"


def all_jobs(world: World) -> list[Job]:
    """Return every job, oldest first."""
    jobs: list[Job] = []
    with world.core.units(read_only=True) as work:
        while True:
            page = work.jobs.all(limit=200, before_id=jobs[-1].id if jobs else None)
            jobs += page
            if len(page) < 200:
                return jobs[::-1]


def one_champion(world: World, _: Written) -> Iterator[str]:
    """Database, registry and the serving API name the same champion."""
    with world.core.units(read_only=True) as work:
        promotion = work.models.champion()
        model = work.models.get(promotion.model_version) if promotion else None
    served = world.get("/health/ready").get("champion")
    if model is None or str(model.version) != str(served):
        yield f"the API serves {served}, the champion is {model.version if model else None}"
    alias = world.core.registry.champion()
    if model is not None and alias != model.mlflow_version:
        yield f"the registry's alias is its version {alias}, the champion is its version {model.mlflow_version}"


def snapshots_are_whole(world: World, _: Written) -> Iterator[str]:
    """Each snapshot's row, tag, commit and data agree, and the workspace holds nothing half-written."""
    workspace = world.settings.workspace_dir
    with world.core.units(read_only=True) as work:
        rows = work.snapshots.all()
    tags = set(_git(workspace, "tag", "--list", "snapshot-*").split())
    for tag in sorted(tags ^ {row.git_tag for row in rows}):
        yield f"{tag} is only in {'the workspace' if tag in tags else 'the database'}"
    for row in rows:
        if row.git_tag in tags and _git(workspace, "rev-parse", f"{row.git_tag}^{{commit}}").strip() != row.git_commit:
            yield f"{row.git_tag} is another commit than its row says"
    for line in _git(workspace, "status", "--porcelain").splitlines():
        # A person may edit these at any time.
        if line[3:] not in ("params.yaml", "dvc.yaml"):
            yield f"the workspace is not clean: {line}"
    remote = _dvc(workspace, "status", "--cloud", "--all-tags", "--quiet")
    if remote:
        yield f"DVC's remote lacks data of a tag: {remote[-300:]}"


def nothing_half_made(world: World, _: Written) -> Iterator[str]:
    """Every release is whole, as is every image; no marker of a write is left.

    Drafts that a killed process left under hidden names are no releases; the next ones throw them away.
    """
    if (world.settings.workspace_dir / ".dvc" / "tmp" / "snapshot-being-written").exists():
        yield "a snapshot is half-written"
    for folder in (world.home / "releases").iterdir():
        if folder.name.isdigit():
            try:
                world.core.releases.folder(int(folder.name))
            except DamageloopError as exc:
                yield str(exc)
    with world.core.units(read_only=True) as work:
        images = work.images.active()
    for image in images:
        if not world.core.images.verify(image.store_key, image.sha256):
            yield f"image {image.id} is not whole"


def _git(folder: Any, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout


def _dvc(folder: Any, *words: str) -> str:
    from damageloop.adapters.workspace import dvc

    try:
        dvc(folder, list(words))
    except DamageloopError as exc:
        return str(exc)
    return ""


CHECKS: dict[str, Check] = {
    "damageloop verify": verify_says,
    "damageloop doctor": doctor_says,
    "Label Studio's export is in the database once, with its last content": export_agrees,
    "what annotators were told is saved is there": work_is_kept,
    "every job ended": jobs_ended,
    "one champion: database, registry and API": one_champion,
    "snapshots: database, git and DVC agree": snapshots_are_whole,
    "nothing is half made": nothing_half_made,
}
