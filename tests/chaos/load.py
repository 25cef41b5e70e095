"""People at work while faults strike: the simulated annotator submits, edits, skips, drafts and deletes a few."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from damageloop.adapters.label_studio.regions import to_choice, to_region
from damageloop.domain.annotation import SOURCE
from damageloop.domain.labels import NO_DAMAGE
from damageloop.errors import DamageloopError
from samples.annotator import PhotoTruth, WorkReport, correct
from samples.labeling_page import LabelingPage
from tests.chaos.world import World

MEAN_PAUSE_S = 0.7
ACTS = {"submit": 0.50, "edit": 0.36, "skip": 0.06, "draft": 0.06, "delete": 0.02}
BOX_JITTER = 0.03


@dataclass
class Written:
    """What Label Studio has acknowledged. `uncertain` are annotations whose last request had no answer."""

    live: dict[str, int] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)


class Load(threading.Thread):
    """Works in the background until it is stopped; a request that fails is left alone, as by a person."""

    def __init__(self, world: World, truth: dict[str, PhotoTruth], seed: int) -> None:
        super().__init__(daemon=True)
        self.written = Written()
        self._world = world
        self._rng = np.random.default_rng([seed, 7])
        self._is_over = threading.Event()
        with world.core.units(read_only=True) as work:
            names = {image.id: image.file_name for image in work.images.active()}
            known = [a for a in work.annotations.all(SOURCE) if not a.is_deleted]
        self._truth = {image_id: truth[name] for image_id, name in names.items() if name in truth}
        self.written.live = {a.external_id: a.image_id for a in known}
        token = world.settings.label_studio_token.read_text().strip()
        self._page = LabelingPage(world.settings.label_studio, token, world.project_id())

    def run(self) -> None:
        """Act again and again."""
        while not self._is_over.wait(float(self._rng.exponential(MEAN_PAUSE_S))):
            act = str(self._rng.choice(list(ACTS), p=list(ACTS.values())))
            try:
                getattr(self, f"_{act}")()
                self.written.counts[act] += 1
            except (httpx.HTTPError, DamageloopError, OSError):
                self.written.counts[f"{act} failed"] += 1

    def stop(self) -> None:
        """Finish the act at hand."""
        self._is_over.set()
        if self.is_alive():
            self.join(120.0)

    def _submit(self) -> None:
        task = self._page.next_task()
        if task is None:
            return self._edit()
        image_id = int(task["data"]["image_id"])
        external_id = str(self._page.submit(task["id"], self._drawn(image_id), 6.0))
        self.written.live[external_id] = image_id
        return None

    def _skip(self) -> None:
        task = self._page.next_task()
        if task is not None:
            external_id = str(self._page.skip(task["id"], 3.0))
            self.written.live[external_id] = int(task["data"]["image_id"])

    def _draft(self) -> None:
        task = self._page.next_task()
        if task is not None:
            self._page.save_draft(task["id"], self._drawn(int(task["data"]["image_id"])))

    def _edit(self) -> None:
        external_id = self._any()
        if external_id is not None:
            self._certainly(external_id, lambda: self._change(external_id))

    def _delete(self) -> None:
        external_id = self._any()
        if external_id is not None:
            self._certainly(external_id, lambda: self._page.delete(int(external_id)))
            self.written.deleted.add(external_id)
            del self.written.live[external_id]

    def _change(self, external_id: str) -> None:
        self._page.change(int(external_id), self._drawn(self.written.live[external_id]))

    def _certainly(self, external_id: str, act: Any) -> None:
        self.written.uncertain.add(external_id)
        act()
        self.written.uncertain.discard(external_id)

    def _any(self) -> str | None:
        known = sorted(self.written.live.keys() - self.written.uncertain)
        return str(self._rng.choice(known)) if known else None

    def _drawn(self, image_id: int) -> list[dict[str, Any]]:
        photo = self._truth.get(image_id)
        boxes, _ = correct((), photo, self._rng, BOX_JITTER, WorkReport()) if photo else ([], 0.0)
        if photo is None or not boxes:
            return [to_choice(NO_DAMAGE)]
        return [to_region(f"r{n}", box, photo.size_wh) for n, box in enumerate(boxes)]
