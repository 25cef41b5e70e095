"""The steps of the demo, in order. Each is done once; a run that was cut off goes on at the first missing one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from damageloop.domain.annotation import LabeledBox
from damageloop.domain.geometry import from_coco
from samples.annotator import PhotoTruth, Truth, WorkReport, annotate
from samples.demo.home import DemoHome
from samples.demo.photos import make_photos, take_base, write_params
from samples.demo.platform import Platform
from samples.examples import write_examples
from samples.labeling_page import LabelingPage

Say = Callable[[str], None]

JOB_TIMEOUT_S = 600.0
TRAINING_TIMEOUT_S = 3600.0
ROOT = Path(__file__).resolve().parents[2]


class Demo:
    """One loop, from photos to a decision and, if it is to promote, to a new serving model."""

    def __init__(self, home: DemoHome, platform: Platform, say: Say) -> None:
        self._home = home
        self._platform = platform
        self._say = say

    def run(self) -> None:
        """Do every missing step."""
        steps: list[tuple[str, str, Callable[[], dict[str, Any] | None]]] = [
            ("photos", "making photos", self._photos),
            ("init", "making the platform (Label Studio's first start takes about a minute)", self._init),
            ("import", "importing the photos", self._import),
            ("audit_round", "first round: a random look at the evaluation photos", lambda: self._round("audit")),
            ("query_round", "second round: photos chosen by the query strategy", lambda: self._round("query")),
            ("snapshot", "versioning the annotations", self._snapshot),
            ("training", "training a challenger", self._training),
            ("gate", "champion and challenger before the gate", self._gate),
            ("promotion", "what follows from the decision", self._after_decision),
            ("prediction", "asking the serving model", self._prediction),
        ]
        for number, (name, words, action) in enumerate(steps, start=1):
            if self._home.is_done(name):
                self._say(f"[{number}/{len(steps)}] {words}: done before")
                continue
            if name not in ("photos", "init"):
                # An earlier run was stopped after `init`; starting what runs already changes nothing.
                self._ensure_up()
            self._say(f"[{number}/{len(steps)}] {words}")
            self._home.run(name, action)

    def _ensure_up(self) -> None:
        if not getattr(self, "_is_up", False):
            self._platform.command("up")
            self._is_up = True

    def _photos(self) -> dict[str, Any]:
        take_base(self._home.source, self._home.home)
        made = make_photos(self._home.folder, self._home.source)
        write_params(ROOT / "params.yaml", self._home.folder / "params.yaml", self._home.source, made["classes"])
        return made

    def _init(self) -> None:
        # Before the project is set up, so that the annotators' instruction shows them.
        write_examples(self._home.home / "examples")
        self._platform.command("init", "--params", str(self._home.folder / "params.yaml"), "--keep-running")
        self._ensure_up()

    def _import(self) -> dict[str, Any]:
        folder = self._home.folder
        report = self._platform.command_json(
            "import", str(folder / "photos"), "--vehicles", str(folder / "vehicles.csv")
        )
        for item in report["quarantined"]:
            self._say(f"      set aside: {item['file']}: {item['reason']}")
        return {"images": report["accepted"] + report["known"], "quarantined": report["quarantined"]}

    def _round(self, kind: str) -> dict[str, Any]:
        """Work through the round as its annotator, and wait until the platform has closed it."""
        opened = self._platform.wait(
            f"an open {kind} round", lambda: self._find_round(kind, {"open", "closed"}), JOB_TIMEOUT_S, self._tell
        )
        if opened["state"] == "open":
            report = self._annotate(opened["id"])
            self._remember_work(kind, report)
        self._platform.wait(
            f"the end of round {opened['id']}",
            lambda: self._find_round(kind, {"closed"}),
            JOB_TIMEOUT_S,
            self._tell,
        )
        done = self._home.notes.get("rounds", [])
        items = len(self._platform.all(f"/rounds/{opened['id']}/items"))
        return {"rounds": [*done, {"id": opened["id"], "kind": kind, "strategy": opened["strategy"], "items": items}]}

    def _find_round(self, kind: str, states: set[str]) -> Any:
        rounds = [r for r in self._platform.all("/rounds") if r["kind"] == kind]
        return rounds[0] if rounds and rounds[0]["state"] in states else None

    def _annotate(self, round_id: int) -> WorkReport:
        items = self._platform.all(f"/rounds/{round_id}/items")
        waiting = [item for item in items if item["state"] == "sent"]
        settings = self._platform.settings
        page = LabelingPage(settings.label_studio, settings.label_studio_token.read_text().strip(), self._project_id())
        rng = np.random.default_rng([self._home.source.seed, round_id])
        report = WorkReport()
        for start in range(0, len(waiting), 25):
            part = annotate(page, self._truth(), rng, limit=min(25, len(waiting) - start))
            report = _sum(report, part)
            self._tell(f"{report.tasks + report.skipped} of {len(waiting)} photos reviewed")
        return report

    def _project_id(self) -> int:
        token = self._platform.settings.label_studio_token.read_text().strip()
        headers = {"Authorization": f"Token {token}"}
        url = f"{self._platform.settings.label_studio}/api/projects/"
        answer = httpx.get(url, headers=headers, trust_env=False, timeout=60.0)
        return int(answer.raise_for_status().json()["results"][0]["id"])

    def _truth(self) -> Truth:
        """Return what is on an image of the platform: it is known by the file's name."""
        photos = photos_of(self._home.folder / "truth.json")
        return lambda image_id: photos.get(self._platform.get(f"/images/{image_id}")["file_name"])

    def _remember_work(self, kind: str, report: WorkReport) -> None:
        work = self._home.notes.setdefault("work", {})
        content = asdict(report)
        content.pop("task_ids")
        work[kind] = content
        self._home.save()

    def _snapshot(self) -> dict[str, Any]:
        made = self._platform.wait("a snapshot", lambda: self._platform.all("/snapshots"), JOB_TIMEOUT_S, self._tell)
        return {"snapshots": [{"id": s["id"], "git_tag": s["git_tag"], "counts": s["counts"]} for s in made]}

    def _training(self) -> None:
        self._platform.wait("a trained challenger", self._challenger, TRAINING_TIMEOUT_S, self._tell)

    def _challenger(self) -> Any:
        return next((m for m in self._platform.all("/models") if m["snapshot_id"] is not None), None)

    def _gate(self) -> dict[str, Any]:
        judged = self._platform.wait("a decision", self._judged, JOB_TIMEOUT_S, self._tell)
        decision = judged["decision"]
        return {"decisions": [decision]}

    def _judged(self) -> Any:
        model = self._challenger()
        return model if model and model["decision"] else None

    def _after_decision(self) -> dict[str, Any]:
        decision = self._home.notes["decisions"][0]
        if decision["decision"] == "promote":
            self._platform.wait(
                f"version {decision['challenger']} to serve",
                lambda: self._serves(decision["challenger"]),
                JOB_TIMEOUT_S,
                self._tell,
            )
        opened = [r for r in self._platform.all("/rounds") if r["state"] == "open"]
        if opened and decision["decision"] == "promote":
            self._platform.wait("renewed pre-labels", self._is_renewed, JOB_TIMEOUT_S, self._tell)
        return {"next_round": opened[0]["id"] if opened else None}

    def _serves(self, version: str) -> bool:
        ready = httpx.get(f"{self._platform.settings.api_url}/v1/health/ready", trust_env=False, timeout=30.0).json()
        return bool(ready.get("champion") == str(version))

    def _is_renewed(self) -> bool:
        done = {j["kind"] for j in self._platform.get("/jobs", limit=50)["items"] if j["state"] == "succeeded"}
        return "renew_pre_annotations" in done

    def _prediction(self) -> dict[str, Any]:
        photos = sorted((self._home.folder / "photos").glob("*.jpg"))
        damaged = _a_damaged_photo(self._home.folder / "truth.json")
        chosen = next((p for p in photos if p.name == damaged), photos[-1])
        if not any(m["is_champion"] for m in self._platform.all("/models")):
            return {"prediction": {"photo": chosen.name, "error": "no model serves yet: the API answers 503"}}
        return {"prediction": {"photo": chosen.name, "answer": self._platform.post_photos([chosen])}}

    def _tell(self, text: str) -> None:
        self._say(f"      {text}")


def photos_of(truth: Path) -> dict[str, PhotoTruth]:
    """Return what is on each photo of a COCO file, by the file's name."""
    content = json.loads(truth.read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    boxes: dict[int, list[LabeledBox]] = {}
    for row in content["annotations"]:
        box = LabeledBox(names[row["category_id"]], from_coco(tuple(row["bbox"])))
        boxes.setdefault(row["image_id"], []).append(box)
    return {
        Path(i["file_name"]).name: PhotoTruth((i["width"], i["height"]), tuple(boxes.get(i["id"], ())))
        for i in content["images"]
    }


def _a_damaged_photo(truth: Path) -> str:
    content = json.loads(truth.read_text())
    largest = max(content["annotations"], key=lambda row: row["bbox"][2] * row["bbox"][3])
    return next(Path(i["file_name"]).name for i in content["images"] if i["id"] == largest["image_id"])


def _sum(first: WorkReport, second: WorkReport) -> WorkReport:
    a, b = asdict(first), asdict(second)
    return WorkReport(**{name: a[name] + b[name] for name in a})
