"""Turns of the pre-annotation of a pool: one home in each precision, scored anew by another version in each round."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.serving.home import Home, add_photos, make_home, publish
from benchmarks.serving.sides import Place

_NO_PORTS = {"api_port": 1, "ml_backend_port": 2}
_JPEG_QUALITY = 95
_FAILED = "failed"


class Pools:
    """The pools of a run; `runs` has the figures of every turn."""

    def __init__(self, place: Place, precisions: Sequence[str], n_images: int) -> None:
        self._place = place
        self._precisions = precisions
        self._n_images = n_images
        self._homes: dict[str, Home] = {}
        self.runs: list[dict[str, Any]] = []

    def turn(self, number: int, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
        """Score the pool once in each precision; return the rates over those of the bare pipeline among `rows`."""
        told: dict[str, float] = {}
        for precision in self._precisions:
            run = self._score(precision, number + 2)
            self.runs.append({"precision": precision, "round": number, **run})
            bare = next((row["images_per_s"] for row in rows if row["side"] == f"bare {precision}"), None)
            if bare and "images_per_s" in run:
                told[precision] = run["images_per_s"] / bare
        return told

    def _score(self, precision: str, version: int) -> dict[str, Any]:
        home = self._home(precision)
        publish(home.settings, self._place.material, version, precision)
        task = json.dumps({"home": str(home.settings.root), "version": version})
        command = [sys.executable, "-m", "benchmarks.serving.pool", task]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return {_FAILED: (done.stderr.strip().splitlines() or ["no output"])[-1]}
        run: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        said = f"{run['images_per_s']:.1f} images/s, {run['cpu_ms']:.1f} CPU ms each"
        print(f"pre-annotation of a pool {precision}: {said}", file=sys.stderr)
        return run

    def _home(self, precision: str) -> Home:
        if precision not in self._homes:
            place = self._place
            home = make_home(place.folder / "homes" / f"pool-{precision}", place.material, precision, _NO_PORTS)
            add_photos(home.settings, _photos(place, self._n_images))
            self._homes[precision] = home
        return self._homes[precision]


def _photos(place: Place, n_images: int) -> list[Path]:
    """Return so many files, no two alike: further rounds over the photos have their columns turned by some pixels."""
    known = list(place.material.photos)
    folder = place.folder / "pool"
    folder.mkdir(exist_ok=True)
    for number in range(len(known), n_images):
        target = folder / f"{number:06d}.jpg"
        if not target.is_file():
            _write_turned(
                known[number % len(place.material.photos)], target, 8 * (number // len(place.material.photos))
            )
        known.append(target)
    return known[:n_images]


def _write_turned(source: Path, target: Path, columns: int) -> None:
    pixels = np.asarray(Image.open(source).convert("RGB"))
    buffer = io.BytesIO()
    Image.fromarray(np.roll(pixels, columns, axis=1)).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    target.write_bytes(buffer.getvalue())
