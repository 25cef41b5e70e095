"""What the pipeline's stages share: where they read and write, how they tell their progress, how they fail.

A stage runs in a clone of the workspace as its current folder, and writes below `build/` only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.adapters.images import FsspecImageStore, ImageLimits, decode_rgb
from damageloop.adapters.shards import read_entries, read_unlabeled
from damageloop.domain.outcome import NoneCalibration
from damageloop.domain.release import calibration_from_json
from damageloop.domain.snapshot import SnapshotEntry
from damageloop.domain.split import Split
from damageloop.errors import DamageloopError
from damageloop.params import Params, load_params
from damageloop.ports import RgbImage
from damageloop.settings import Settings

MANIFEST = Path("data/manifest")
ANNOTATIONS = Path("data/annotations")
PROVENANCE = Path("data/provenance.json")
BUILD = Path("build")
DATASET = BUILD / "dataset"
UNLABELED = DATASET / "unlabeled.txt"
DATASET_INDEX = BUILD / "dataset.json"
WEIGHTS = BUILD / "weights.pt"
METRICS = BUILD / "metrics.json"
EVALUATION = BUILD / "evaluation.json"
EXPORT = BUILD / "export"
PROGRESS = BUILD / "progress.json"

# Which part of the whole each stage is, roughly by its time.
_SHARES = {"prepare": (0.0, 0.03), "train": (0.03, 0.88), "evaluate": (0.88, 0.95), "export": (0.95, 1.0)}


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; one of our own errors ends the process with its sentence instead of a traceback."""
    BUILD.mkdir(exist_ok=True)
    # Before torch is loaded: threads that wait for each other asleep. Spinning, two threads on two cores took four
    # times as long as one, as soon as another process wanted a core too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # No progress bars in the log: `tell` says how far it is.
    os.environ.setdefault("YOLO_VERBOSE", "false")
    try:
        stage()
    except DamageloopError as exc:
        sys.stderr.write(f"{exc}\n")
        sys.exit(1)


def tell(stage: str, share: float, message: str, detail: dict[str, Any] | None = None) -> None:
    """Write how far the whole pipeline is, for whoever watches the file.

    Args:
        stage: Which stage speaks.
        share: How much of this stage is done, 0 to 1.
        message: What it is doing, in words.
        detail: Figures for people who watch, such as the epoch and its loss.
    """
    begin, end = _SHARES[stage]
    write_json(PROGRESS, {"share": round(begin + (end - begin) * share, 4), "message": message, "detail": detail})


def write_json(path: Path, content: Any) -> None:
    """Write plain values to a file that is whole at any moment."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    part.replace(path)


def stage_params() -> Params:
    """Return the parameters that the snapshot committed."""
    return load_params(Path("params.yaml"))


def snapshot_entries() -> tuple[SnapshotEntry, ...]:
    """Return the snapshot's images with what humans said, by image hash, without those that were forgotten since."""
    gone = image_store(stage_params()).redacted()
    return tuple(entry for entry in read_entries(MANIFEST, ANNOTATIONS) if entry.sha256 not in gone)


def evaluated_thresholds() -> dict[str, float]:
    """Return the working thresholds that the stage `evaluate` set, by class."""
    thresholds: dict[str, float] = json.loads(EVALUATION.read_text())["thresholds"]
    return thresholds


def evaluated_calibration() -> NoneCalibration | None:
    """Return the none calibration that the stage `evaluate` fitted; None where val had one kind of photo alone."""
    return calibration_from_json(json.loads(EVALUATION.read_text()).get("none_calibration"))


def n_redacted() -> int:
    """Return how many images that the snapshot names, labeled or not, were forgotten since."""
    labeled = {entry.sha256 for entry in read_entries(MANIFEST, ANNOTATIONS)}
    unlabeled = {entry.sha256 for entry in read_unlabeled(MANIFEST)}
    return len((labeled | unlabeled) & image_store(stage_params()).redacted())


def image_path(entry: SnapshotEntry) -> Path:
    """Return where `prepare` puts the bytes of an image."""
    return DATASET / "images" / entry.split.value / f"{entry.sha256}.{entry.extension}"


def label_path(entry: SnapshotEntry) -> Path:
    """Return where ultralytics looks for the boxes of that image: `images` becomes `labels`."""
    return DATASET / "labels" / entry.split.value / f"{entry.sha256}.txt"


def unlabeled_images() -> list[Path]:
    """Return the unlabeled images that `prepare` laid out, none where the snapshot names none."""
    if not UNLABELED.is_file():
        return []
    return [Path(line) for line in UNLABELED.read_text().splitlines()]


def load_image(entry: SnapshotEntry, params: Params) -> RgbImage:
    """Return the upright pixels of a prepared image, shape (height, width, 3), uint8 RGB."""
    return decode_rgb(image_path(entry).read_bytes(), image_limits(params))


def image_limits(params: Params) -> ImageLimits:
    return ImageLimits(params.ingest.max_file_bytes, params.ingest.max_pixels, params.ingest.min_side_px)


def image_store(params: Params) -> FsspecImageStore:
    """Return the image store that the environment names."""
    return FsspecImageStore(Settings().image_store, image_limits(params))


def weights_folders() -> list[Path]:
    """Return where weights files are looked for: the configured folder, then the starter's (checkout or wheel)."""
    root = Path(__file__).resolve().parents[2]
    configured = Settings().weights_dir
    return [*([configured] if configured else []), root / "starter", root / "damageloop" / "starter"]


def spread(entries: Sequence[SnapshotEntry], n_most: int) -> list[SnapshotEntry]:
    """Return at most `n_most` entries, evenly spread over the given order."""
    if len(entries) <= n_most:
        return list(entries)
    return [entries[int(i)] for i in np.linspace(0, len(entries) - 1, n_most)]


def of_split(entries: Sequence[SnapshotEntry], split: Split) -> list[SnapshotEntry]:
    return [entry for entry in entries if entry.split is split]


def all_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))
