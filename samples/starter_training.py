"""Trains the starter model from scratch on generated photos of the starter world and writes it with its card.

Run ``python -m samples.starter_training --out starter/``. Nothing is downloaded and nothing calls home.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samples.generator import ANNOTATIONS_NAME, FULL_WORLD, STARTER_WORLD, World, generate
from samples.generator.yolo import write_labels

NAME = "starter-yolo11n"
MAX_BYTES = 6_000_000
_PHOTO_SIZE_WH = (448, 336)
"""Enough for training at 256 px, and half the work of the default size."""
_HELD_OUT_VEHICLES = 120
_DAMAGED_SHARE = 0.78
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
_TRAINING: dict[str, Any] = {
    "batch": 16,
    "nbs": 16,
    "optimizer": "AdamW",
    "lr0": 0.002,
    "lrf": 0.02,
    "cos_lr": True,
    "weight_decay": 0.0005,
    "warmup_epochs": 1.0,
    "warmup_bias_lr": 0.002,
    "mosaic": 0.4,
    "close_mosaic": 3,
    "scale": 0.3,
    "translate": 0.1,
    "degrees": 4.0,
    "hsv_h": 0.01,
    "hsv_s": 0.25,
    "hsv_v": 0.15,
    "erasing": 0.0,
    "auto_augment": None,
    "cache": "ram",
    "amp": False,
    "plots": False,
    "pretrained": False,
    "patience": 0,
    "device": "cpu",
}


@dataclass(frozen=True)
class Options:
    """What the command line asks for. `minutes` limits the training by time instead of by epochs."""

    out: Path
    work: Path
    photos: int
    epochs: int
    image_size: int
    seed: int
    minutes: float | None
    threads: int
    workers: int
    is_finish_only: bool


@dataclass(frozen=True)
class Metrics:
    """Detection quality on held-out photos of one world."""

    world: str
    photos: int
    map50: float
    map50_95: float
    precision: float
    recall: float
    map50_by_class: dict[str, float]


def configure_ultralytics(folder: Path) -> None:
    """Point ultralytics' settings to `folder` and switch off all that calls home. Comes before its import."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    import matplotlib as mpl
    from ultralytics import settings
    from ultralytics.utils import USER_CONFIG_DIR

    # Reading a data set, ultralytics downloads this font unless it is there. Nothing is drawn with it here.
    font = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copyfile(font, USER_CONFIG_DIR / "Arial.ttf")
    settings.update(
        {
            "sync": False,
            "datasets_dir": str(folder),
            "weights_dir": str(folder),
            "runs_dir": str(folder),
            **{name: False for name in _INTEGRATIONS if name in settings},
        }
    )


def write_dataset(folder: Path, *, world: World, vehicles: int, views: int, seed: int) -> None:
    """Write photos and their YOLO label files into ``images`` and ``labels`` under `folder`, once."""
    done = folder / "done"
    if done.exists():
        return
    generate(
        folder / "images",
        vehicles=vehicles,
        views=views,
        seed=seed,
        size_wh=_PHOTO_SIZE_WH,
        world=world,
        damaged_share=_DAMAGED_SHARE,
        on_photo=_progress(f"{world.name} world"),
    )
    write_labels(folder / "images" / ANNOTATIONS_NAME, folder / "labels")
    done.touch()


def _progress(what: str) -> Callable[[int, int], None]:
    def show(done: int, total: int) -> None:
        if done % 500 == 0 or done == total:
            print(f"{what}: {done} of {total} photos", flush=True)

    return show


def _write_data_file(work: Path, train: str, val: str) -> Path:
    path = work / f"{val}.yaml"
    names = "names:\n  0: scratch\n  1: dent\n"
    path.write_text(f"path: {work}\ntrain: {train}/images\nval: {val}/images\n{names}", encoding="utf-8")
    return path


def prepare_photos(options: Options) -> None:
    """Generate the training photos and, from other seeds, the held-out ones."""
    vehicles = max(1, options.photos // 2)
    write_dataset(options.work / "train", world=STARTER_WORLD, vehicles=vehicles, views=2, seed=options.seed)
    for offset, world in enumerate((STARTER_WORLD, FULL_WORLD), start=1):
        seed = options.seed + 1_000_000 * offset
        folder = options.work / f"held-out-{world.name}"
        write_dataset(folder, world=world, vehicles=_HELD_OUT_VEHICLES, views=2, seed=seed)


def train(options: Options) -> None:
    """Train in the work folder; an interrupted training goes on from its last epoch."""
    import torch
    from ultralytics.models import YOLO

    last = options.work / "run" / "weights" / "last.pt"
    is_resumed = last.exists()
    model = YOLO(str(last) if is_resumed else "yolo11n.yaml")
    model.add_callback("on_train_start", lambda _trainer: torch.set_num_threads(options.threads))
    if is_resumed:
        model.train(resume=True)
        return
    model.train(
        data=str(_write_data_file(options.work, "train", "held-out-starter")),
        epochs=options.epochs,
        time=None if options.minutes is None else options.minutes / 60,
        imgsz=options.image_size,
        seed=options.seed,
        workers=options.workers,
        project=str(options.work),
        name="run",
        exist_ok=True,
        **_TRAINING,
    )


def measure(options: Options, weights: Path, world: World) -> Metrics:
    """Return the quality of `weights` on the held-out photos of `world`."""
    from ultralytics.models import YOLO

    held_out = f"held-out-{world.name}"
    result = YOLO(str(weights)).val(
        data=str(_write_data_file(options.work, held_out, held_out)),
        imgsz=options.image_size,
        batch=16,
        workers=0,
        device="cpu",
        plots=False,
        verbose=False,
        project=str(options.work),
        name=f"val-{world.name}",
        exist_ok=True,
    )
    box = result.box
    by_class = {result.names[int(c)]: float(ap) for c, ap in zip(box.ap_class_index, box.ap50, strict=True)}
    counts = (float(box.map50), float(box.map), float(box.mp), float(box.mr))
    return Metrics(world.name, 2 * _HELD_OUT_VEHICLES, *counts, by_class)


def finish(options: Options) -> Path:
    """Write the best weights in half precision, their card and checksum, and return the weights file."""
    from ultralytics.utils.torch_utils import strip_optimizer

    weights = options.work / "run" / "weights"
    source = weights / "best.pt" if (weights / "best.pt").exists() else weights / "last.pt"
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{NAME}.pt"
    shutil.copyfile(source, path)
    strip_optimizer(path)
    _forget_paths(path)
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path.name} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    metrics = [measure(options, path, world) for world in (STARTER_WORLD, FULL_WORLD)]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (options.out / f"{NAME}.sha256").write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    with (options.work / "run" / "results.csv").open(encoding="utf-8") as lines:
        epochs = list(csv.DictReader(lines, skipinitialspace=True))
    seconds = float(epochs[-1]["time"])
    card = _card(options, metrics, epochs=len(epochs), seconds=seconds, size=path.stat().st_size, digest=digest)
    (options.out / "card.md").write_text(card, encoding="utf-8")
    return path


def _forget_paths(path: Path) -> None:
    """Take the folders of the training machine out of the weights file."""
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    for arguments in (checkpoint.get("train_args"), getattr(checkpoint["model"], "args", None)):
        if isinstance(arguments, dict):
            arguments.update({key: None for key in ("data", "project", "name", "save_dir") if key in arguments})
    checkpoint.pop("git", None)
    torch.save(checkpoint, path)


def _card(options: Options, metrics: list[Metrics], *, epochs: int, seconds: float, size: int, digest: str) -> str:
    rows = "\n".join(
        f"| {m.world} | {m.photos} | {m.map50:.3f} | {m.map50_95:.3f} | {m.precision:.3f} | {m.recall:.3f} | "
        f"{m.map50_by_class.get('scratch', 0):.3f} | {m.map50_by_class.get('dent', 0):.3f} |"
        for m in metrics
    )
    limit = f" --minutes {options.minutes:g}" if options.minutes is not None else f" --epochs {options.epochs}"
    command = (
        f"python -m samples.starter_training --out starter/ --photos {options.photos}{limit} "
        f"--image-size {options.image_size} --seed {options.seed}"
    )
    return f"""# {NAME}

The model that gives pre-labels in the first minute: YOLO11n with the classes `scratch` and `dent`, trained
from scratch (random weights, no download) on generated photos of car panels at {options.image_size} px.
It knows generated photos only, and few of those: the starter world has daylight, the paints
{", ".join(STARTER_WORLD.paints)}, clear scratches and deep dents. It is a place to start labeling from,
not a damage detector for real cars.

| | |
|---|---|
| made by | `{command}` |
| photos | {options.photos} generated by `samples.generator`, `STARTER_WORLD`, seed {options.seed} |
| training | {epochs} epochs, {seconds:.0f} s on {options.threads} CPU threads |
| chosen | the epoch that was best on held-out starter-world photos |
| file | `{NAME}.pt`, {size} bytes, half precision; sha256 `{digest}` |
| license | AGPL-3.0, as ultralytics is |

Quality at {options.image_size} px on held-out photos of other seeds:

| world | photos | mAP50 | mAP50-95 | precision | recall | mAP50 scratch | mAP50 dent |
|---|---|---|---|---|---|---|---|
{rows}

The full world adds dark and mid paints, hoods and bumpers, garages and dim light, faint scratches, scuffs and
shallow dents.
"""


def _parse(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m samples.starter_training", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("starter"), help="folder for weights, card and checksum")
    parser.add_argument(
        "--work", type=Path, help="folder for photos and checkpoints; give it to resume (default: temporary)"
    )
    parser.add_argument("--photos", type=int, default=3000, help="training photos (default: %(default)s)")
    parser.add_argument(
        "--epochs", type=int, default=20, help="epochs, unless --minutes is given (default: %(default)s)"
    )
    parser.add_argument("--image-size", type=int, default=256, help="pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="for photos and training (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="train for this long; epochs follow from it")
    parser.add_argument("--threads", type=int, default=2, help="torch threads (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=0, help="loader processes (default: %(default)s)")
    parser.add_argument("--finish", action="store_true", help="only write the result of what --work holds")
    given = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(prefix="starter-")) if given.work is None else given.work.absolute()
    return Options(
        out=given.out,
        work=work,
        photos=given.photos,
        epochs=given.epochs,
        image_size=given.image_size,
        seed=given.seed,
        minutes=given.minutes,
        threads=given.threads,
        workers=given.workers,
        is_finish_only=given.finish,
    )


def main(arguments: list[str] | None = None) -> int:
    """Train as the command line says, write the starter and return the exit status."""
    options = _parse(arguments)
    configure_ultralytics(options.work / "ultralytics")
    prepare_photos(options)
    if not options.is_finish_only:
        train(options)
    path = finish(options)
    print(f"wrote {path}, its card and its checksum")
    return 0


if __name__ == "__main__":
    sys.exit(main())
