"""Follow the newest promotion: load its release beside the one that serves, and switch in one step.

Where that release is damaged the last good one serves on; a process that has just started and has none takes the newest
earlier champion whose release is whole. Both are told loudly, and end by themselves when the release is mended.

A request takes one reference and keeps it, so no answer ever mixes two versions; the old model goes when its last
request is done. The database is asked by a thread and never within a request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from damageloop.domain.promotion import Promotion, earlier_champions
from damageloop.domain.release import ReleaseManifest
from damageloop.errors import DamageloopError, NoChampionError
from damageloop.ports import Detector, ReleaseStore
from damageloop.ports.persistence import UnitOfWorkFactory

logger = logging.getLogger(__name__)

MakeDetector = Callable[[Path, ReleaseManifest], Detector]

POLL_S = 1.0
# A release that could not be loaded is tried again this rarely: checking its hashes reads all its files.
POLLS_BEFORE_RETRY = 10


class Serving(NamedTuple):
    """A loaded release; whoever holds it may use it as long as he likes.

    Attributes:
        since: When it was promoted last; None where it never was.
        seconds_per_photo: What the warm-up took, without decoding; None where nobody measured.
    """

    detector: Detector
    manifest: ReleaseManifest
    since: datetime | None = None
    seconds_per_photo: float | None = None


class ChampionSource(Protocol):
    """Tells which release answers now."""

    def current(self) -> Serving:
        """Return it. Raises NoChampionError."""


class ChampionLoader:
    """Implements `ChampionSource`. `start` makes the thread; `refresh` is one look, for those who want no thread."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        releases: ReleaseStore,
        make_detector: MakeDetector,
        poll_s: float = POLL_S,
    ) -> None:
        self._units = units
        self._releases = releases
        self._make_detector = make_detector
        self._poll_s = poll_s
        self._serving: Serving | None = None
        self._problem: str | None = None
        self._refused_version: int | None = None
        self._polls_to_skip = 0
        self._refreshing = threading.Lock()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def problem(self) -> str | None:
        """Return in words why the newest promotion does not serve, or None when it does."""
        return self._problem

    def current(self) -> Serving:
        """Return the release that serves.

        Raises:
            NoChampionError: If nothing was promoted yet, or nothing could be loaded yet.
        """
        serving = self._serving
        if serving is None:
            raise NoChampionError("No model serves yet: none was promoted, or it is still being loaded.")
        return serving

    def start(self) -> None:
        """Begin to follow promotions; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="champion", daemon=True)
            self._thread.start()

    def load_now(self) -> Serving:
        """Load the newest promotion and return it, for programs that answer once and end.

        Raises:
            NoChampionError: If nothing was promoted, or it can't be loaded; the sentence says why.
        """
        self.refresh()
        if self._serving is None and self._problem is not None:
            raise NoChampionError(self._problem)
        return self.current()

    def close(self) -> None:
        """Stop following; what is loaded stays."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def refresh(self) -> None:
        """Look once at the newest promotion and load it if it is another one than serves."""
        with self._refreshing:
            try:
                newest = self._newest()
                if newest is None or self._is_serving(newest):
                    self._settle(None)
                elif newest.model_version == self._refused_version and self._polls_to_skip:
                    self._polls_to_skip -= 1
                else:
                    self._try_to_switch(newest)
            except DamageloopError as exc:
                self._settle(str(exc))

    def _newest(self) -> Promotion | None:
        with self._units(read_only=True) as work:
            return work.models.champion()

    def _is_serving(self, newest: Promotion) -> bool:
        serving = self._serving
        if serving is None or serving.manifest.model_version != newest.model_version:
            return False
        if serving.since != newest.created_at:
            # Promoted again, or rolled back to while it served in place of another.
            self._serving = serving._replace(since=newest.created_at)
        return True

    def _try_to_switch(self, newest: Promotion) -> None:
        self._refused_version, self._polls_to_skip = newest.model_version, POLLS_BEFORE_RETRY
        try:
            self._load(newest.model_version, newest.created_at)
        except DamageloopError as exc:
            if self._serving is None:
                self._fall_back()
            answers = f"Version {self._serving.manifest.model_version} answers" if self._serving else "Nothing answers"
            self._settle(f"{exc} {answers} in its place.")
        else:
            self._settle(None)

    def _fall_back(self) -> None:
        """Load the newest earlier champion that can be loaded; what was rolled back from is none of them."""
        with self._units(read_only=True) as work:
            promotions = work.models.promotions()
        # The newest promotion of a version counts: it comes last.
        since = {promotion.model_version: promotion.created_at for promotion in promotions}
        for version in earlier_champions(promotions):
            try:
                self._load(version, since[version])
            except DamageloopError as exc:
                logger.warning("version %s can't answer in place of the champion either: %s", version, exc)
            else:
                return

    def _load(self, version: int, since: datetime) -> None:
        """Load, verify and warm up beside the one that serves, and switch by one assignment."""
        # `folder` checks every file against the manifest's hashes.
        folder, manifest = self._releases.folder(version), self._releases.manifest(version)
        detector = self._make_detector(folder, manifest)
        seconds = _warm_up(detector)
        self._serving = Serving(detector, manifest, since, seconds)
        logger.info("model version %s serves", version)

    def _settle(self, problem: str | None) -> None:
        if problem is None:
            self._refused_version, self._polls_to_skip = None, 0
        elif problem != self._problem:
            logger.error("the newest promotion does not serve: %s", problem)
        self._problem = problem

    def _follow(self) -> None:
        while not self._is_over.is_set():
            try:
                self.refresh()
            except Exception:
                # The thread must outlive anything, or this process would never see another promotion.
                logger.exception("following promotions failed; trying again")
                self._problem = "It broke on an error of ours; the log has it."
            self._is_over.wait(self._poll_s)


def _warm_up(detector: Detector) -> float:
    """Have the detector answer once, so that no request pays for a first time; return the seconds of a second one."""
    side = detector.manifest.image_size
    image = np.full((side, side, 3), 128, dtype=np.uint8)
    detector.detect(image)
    began = time.perf_counter()
    detector.detect(image)
    return time.perf_counter() - began
