"""A small platform of its own for `benchmarks.loop`: real processes, tiny trainings, driven from outside."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from benchmarks.loop_figures import ENDED
from benchmarks.ports import free_ports
from samples.annotator import PhotoTruth, annotate
from samples.demo.platform import DemoFailedError, Platform
from samples.demo.steps import photos_of
from samples.generator import generate
from samples.labeling_page import LabelingPage

Say = Callable[[str], None]

# How many annotations a snapshot needs here; everything that paces the loop is as the product has it.
NEEDED = 4
OVERRIDES: dict[str, dict[str, Any]] = {
    "model": {"image_size": 96},
    "training": {"epochs": 1, "freeze_layers": 10},
    "round": {"query_size": 60, "audited_share": 0.0, "audit_images": 3, "audit_groups": 3},
    "retrain": {"min_new_annotations": NEEDED},
    "gate": {"bootstrap_samples": 100},
    "crops": {"enabled": False},
}
_SERVICES = ("API", "LABEL_STUDIO", "ML_BACKEND", "MLFLOW", "CONSOLE")
_LABELED, _VEHICLES, _SEED = 70, 150, 5
_POLL_S = 0.2
_TIMEOUT_S = 900.0
_ROOT = Path(__file__).resolve().parents[1]


class MeasuredPlatform:
    """One embedded platform below `folder`; `say` tells people what it does."""

    def __init__(self, folder: Path, say: Say) -> None:
        for name, port in zip(_SERVICES, free_ports(len(_SERVICES)), strict=True):
            os.environ[f"DAMAGELOOP_{name}_PORT"] = str(port)
        self._folder = folder
        self._platform = Platform(folder / "var")
        self._say = say
        self._rng = np.random.default_rng(_SEED)
        self._truth: dict[str, PhotoTruth] = {}

    def start(self) -> None:
        """Make the platform, with a first snapshot from imported annotations and an open query round."""
        folder, platform = self._folder, self._platform
        self._say("making the platform (Label Studio's first start takes about a minute)")
        labeled = self._make_photos()
        params = yaml.safe_load((_ROOT / "params.yaml").read_text())
        for section, values in OVERRIDES.items():
            params[section] |= values
        (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        platform.command("init", "--params", str(folder / "params.yaml"), "--keep-running")
        platform.command("up")
        platform.command_json("import", str(folder / "labeled"), "--annotations", str(labeled))
        platform.command_json("import", str(folder / "waiting"))
        self._say("waiting for the first model and an open query round")
        self.wait("the audit round", lambda: self._rounds("audit", "open"))
        self._annotate(len(self._waiting("audit")))
        self.wait("a query round", lambda: self._rounds("query", "open"))

    def stop(self) -> None:
        """Stop every process."""
        self._platform.stop()

    def prepare(self) -> None:
        """Let everything come to rest with exactly one annotation lacking for the next snapshot."""
        self.wait("the loop to rest", self._is_at_rest)
        lacking = self._n_lacking()
        self._annotate(lacking - 1)
        self.wait("all but one annotation to be taken in", lambda: self._n_lacking() == 1)
        self.wait("the loop to rest", self._is_at_rest)
        # So that no repeat begins in step with the platform's own clocks.
        time.sleep(float(self._rng.uniform(0.0, 5.0)))

    def submit_last(self) -> None:
        """Submit the annotation that was lacking."""
        self._annotate(1)

    def jobs(self) -> list[dict[str, Any]]:
        """Return the newest jobs, newest first."""
        return list(self._platform.get("/jobs", limit=50)["items"])

    def wait(self, what: str, check: Callable[[], Any], timeout_s: float = _TIMEOUT_S) -> Any:
        """Return what `check` finds as soon as it finds something. Raises DemoFailedError after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = None
            with suppress(httpx.HTTPError):
                found = check()
            if found:
                return found
            time.sleep(_POLL_S)
        raise DemoFailedError(f"Waited {timeout_s:.0f} s for {what}; the newest jobs: {self.jobs()[:5]}")

    def _make_photos(self) -> Path:
        """Write photos of which a part has annotations; return the COCO file of that part."""
        labeled, waiting = self._folder / "labeled", self._folder / "waiting"
        file = generate(labeled, vehicles=_VEHICLES, views=1, seed=_SEED, size_wh=(320, 240))
        self._truth = photos_of(file)
        content = json.loads(file.read_text())
        file.unlink()
        waiting.mkdir()
        for image in content["images"][_LABELED:]:
            shutil.move(labeled / image["file_name"], waiting)
        content["images"] = content["images"][:_LABELED]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [row for row in content["annotations"] if row["image_id"] in kept]
        target = self._folder / "labeled.json"
        target.write_text(json.dumps(content))
        return target

    def _rounds(self, kind: str, state: str) -> list[dict[str, Any]]:
        return [r for r in self._platform.all("/rounds") if r["kind"] == kind and r["state"] == state]

    def _waiting(self, kind: str) -> list[dict[str, Any]]:
        rounds = self._rounds(kind, "open")
        return [i for r in rounds for i in self._platform.all(f"/rounds/{r['id']}/items") if i["state"] == "sent"]

    def _is_at_rest(self) -> bool:
        jobs = self.jobs()
        return all(job["state"] in ENDED for job in jobs) and self._n_lacking() > 0

    def _n_lacking(self) -> int:
        """Return how many annotations the next snapshot waits for, as `damageloop status` says it; 0: it is due."""
        for line in self._platform.command_json("status")["waiting_for"]:
            words = line.split()
            if "for the next snapshot" in line and words[0].isdigit():
                return int(words[0])
        return 0

    def _annotate(self, n_tasks: int) -> None:
        if n_tasks < 1:
            return
        settings = self._platform.settings
        token = settings.label_studio_token.read_text().strip()
        page = LabelingPage(settings.label_studio, token, self._project_id(token))
        annotate(page, self._truth_of, self._rng, limit=n_tasks)

    def _truth_of(self, image_id: int) -> PhotoTruth | None:
        return self._truth.get(self._platform.get(f"/images/{image_id}")["file_name"])

    def _project_id(self, token: str) -> int:
        url = f"{self._platform.settings.label_studio}/api/projects/"
        answer = httpx.get(url, headers={"Authorization": f"Token {token}"}, trust_env=False, timeout=60.0)
        return int(answer.raise_for_status().json()["results"][0]["id"])
