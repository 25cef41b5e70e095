"""What both sides are measured on: one model, exported by each side in its own way, and the same photos."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.serving.peers_servers.names import EXPORTED, WEIGHTS
from damageloop.bootstrap.core import STARTERS
from damageloop.bootstrap.processes import QUIET
from samples.generator import encode, photos

IMAGE_SIZE = 640
_JPEG_QUALITY = 95
_KNOWN_BASES = ("yolo11n.pt", "yolo11n-coco-dequantised.pt")
_STARTER = "starter-yolo11n.pt"


@dataclass(frozen=True, slots=True)
class Material:
    """Files that all sides share.

    Attributes:
        weights: The checkpoint.
        peer_openvino: The folder that ultralytics exported.
        release: The folder that the platform exported: `model.xml` and `model.bin`.
        labels: Classes of the checkpoint.
        photos: Files of the square photos.
        landscape: Files of the same photos, cut to 4:3.
        photo_source: In words.
    """

    weights: Path
    peer_openvino: Path
    release: Path
    labels: tuple[str, ...]
    photos: tuple[Path, ...]
    landscape: tuple[Path, ...]
    photo_source: str


def find_base(given: Path | None) -> Path:
    """Return the checkpoint: what was given, a COCO yolo11n in DAMAGELOOP_WEIGHTS_DIR, else the starter model."""
    if given is not None:
        return given
    configured = os.environ.get("DAMAGELOOP_WEIGHTS_DIR")
    found = [Path(configured) / name for name in _KNOWN_BASES] if configured else []
    return next(path for path in [*found, *(folder / _STARTER for folder in STARTERS)] if path.is_file())


def prepare(folder: Path, base: Path, images: Path | None, n_photos: int) -> Material:
    """Make the files in `folder`; what an earlier run left there is taken as it is."""
    told = folder / "material.json"
    if not told.is_file():
        labels = _export(folder, base)
        source = _write_photos(folder, images, n_photos)
        told.write_text(json.dumps({"labels": labels, "photo_source": source}), encoding="utf-8")
    known = json.loads(told.read_text(encoding="utf-8"))
    return Material(
        folder / "peer" / WEIGHTS,
        folder / "peer" / EXPORTED,
        folder / "release",
        tuple(known["labels"]),
        tuple(sorted((folder / "photos").glob("*.jpg"))),
        tuple(sorted((folder / "landscape").glob("*.jpg"))),
        known["photo_source"],
    )


def _export(folder: Path, base: Path) -> list[str]:
    environment = {**os.environ, **QUIET, "YOLO_CONFIG_DIR": str(folder / "ultralytics")}
    theirs = ["benchmarks.serving.peers_servers.openvino_export", str(base), str(IMAGE_SIZE), str(folder / "peer")]
    labels: list[str] = json.loads(_run(theirs, environment).strip().splitlines()[-1])
    ours = ["workers.stages.export_base", str(base), str(IMAGE_SIZE), str(folder / "release")]
    _run([*ours, *labels], environment)
    return labels


def _run(module: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-m", *module], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _write_photos(folder: Path, images: Path | None, n_photos: int) -> str:
    """Write square photos and the same cut to 4:3; return in words what they are."""
    for name in ("photos", "landscape"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if images is None:
        contents = _generated(n_photos)
        source = f"{n_photos} generated photos of {IMAGE_SIZE} x {IMAGE_SIZE} pixels"
    else:
        files = sorted(path for path in images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        contents = [path.read_bytes() for path in files[:: max(1, len(files) // n_photos)][:n_photos]]
        n_square = sum(Image.open(io.BytesIO(content)).size == (IMAGE_SIZE, IMAGE_SIZE) for content in contents)
        source = f"{len(contents)} photos of car damage, {n_square} of them {IMAGE_SIZE} x {IMAGE_SIZE} pixels"
    for number, content in enumerate(contents):
        (folder / "photos" / f"{number:04d}.jpg").write_bytes(content)
        (folder / "landscape" / f"{number:04d}.jpg").write_bytes(_landscape(content))
    return source


def _generated(n_photos: int) -> list[bytes]:
    made = photos(vehicles=-(-n_photos // 4), views=4, seed=5, size_wh=(IMAGE_SIZE, IMAGE_SIZE))
    return [encode(named.photo) for named in made][:n_photos]


def _landscape(content: bytes) -> bytes:
    """Return the photo as 640 x 480: the middle of its square."""
    image = Image.open(io.BytesIO(content)).convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE))
    margin = IMAGE_SIZE // 8
    buffer = io.BytesIO()
    image.crop((0, margin, IMAGE_SIZE, IMAGE_SIZE - margin)).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()
