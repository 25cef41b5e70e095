"""The demo's photos, what is truly on them (known to the simulated annotator alone), and two broken files."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from damageloop.adapters.coco import read_coco
from damageloop.errors import InvalidInputError
from samples.demo.home import DemoRefusedError, Source
from samples.generator.write import generate


@dataclass(frozen=True, slots=True)
class Plan:
    """How much the demo makes and does.

    Attributes:
        overrides: Parameters that differ from the product's params.yaml, by section.
    """

    vehicles: int
    views: int
    overrides: dict[str, dict[str, Any]]


# Small enough for twelve minutes on two cores, large enough for the gate: some 120 test photos of 40 vehicles.
FULL = Plan(vehicles=160, views=3, overrides={})
# For tests: every step happens, nothing is learnt.
SMALL = Plan(
    vehicles=54,
    views=3,
    overrides={
        "model": {"image_size": 128},
        "training": {"epochs": 2},
        "round": {"query_size": 24, "audit_images": 45, "audit_groups": 15},
        "retrain": {"min_new_annotations": 12},
        "gate": {"bootstrap_samples": 200},
    },
)
# Real photos differ more from each other than generated ones and have rare classes.
REAL = Plan(vehicles=0, views=0, overrides={"model": {"image_size": 320}, "training": {"epochs": 8}})


def plan_for(source: Source) -> Plan:
    """Return how much to do for this source."""
    if source.images is not None:
        return REAL
    return SMALL if source.size == "small" else FULL


def make_photos(folder: Path, source: Source) -> dict[str, Any]:
    """Fill `folder` with photos, truth.json (COCO) beside it, and two broken files; return counts."""
    photos = folder / "photos"
    truth = folder / "truth.json"
    if photos.exists():
        # A run that was cut off here left it half-filled.
        shutil.rmtree(photos)
    if source.images is None:
        plan = plan_for(source)
        made = generate(photos, vehicles=plan.vehicles, views=plan.views, seed=source.seed)
        shutil.move(made, truth)
    else:
        _take_real(source, photos, truth)
    content = json.loads(truth.read_text())
    _write_vehicles(folder / "vehicles.csv", content)
    _break_two(photos)
    return {"photos": len(content["images"]), "classes": _classes(content)}


def take_base(source: Source, home: Path) -> None:
    """Copy the base weights into the home, so that the platform finds them there from now on.

    Raises:
        DemoRefusedError: If there is no such file.
    """
    if not source.base:
        return
    configured = os.environ.get("DAMAGELOOP_WEIGHTS_DIR")
    places = [Path(source.base), *([Path(configured) / source.base] if configured else [])]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DemoRefusedError(
            f"BASE={source.base} is no file, and DAMAGELOOP_WEIGHTS_DIR ({configured or 'not set'}) has none of that "
            "name; give its path, or set DAMAGELOOP_WEIGHTS_DIR to its folder."
        )
    (home / "weights").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, home / "weights" / found.name)


def write_params(template: Path, target: Path, source: Source, classes: list[str]) -> None:
    """Write the demo's params.yaml: the product's, with the classes of the photos and the demo's sizes."""
    params = yaml.safe_load(template.read_text())
    params["labels"]["classes"] = classes
    for section, values in plan_for(source).overrides.items():
        params[section] |= values
    if source.base:
        params["model"]["base"] = Path(source.base).name
    params["round"]["seed"] = params["training"]["seed"] = source.seed
    target.write_text(yaml.safe_dump(params, sort_keys=False))


def _take_real(source: Source, photos: Path, truth: Path) -> None:
    images, annotations = Path(source.images or ""), Path(source.annotations or "")
    if not images.is_dir():
        raise DemoRefusedError(f"IMAGES={source.images} is no folder.")
    if not source.annotations or not annotations.is_file():
        raise DemoRefusedError("IMAGES needs ANNOTATIONS=coco.json: the simulated annotator must know the truth.")
    try:
        read_coco(annotations)
    except InvalidInputError as exc:
        raise DemoRefusedError(f"ANNOTATIONS can't be used: {exc}") from exc
    content = json.loads(annotations.read_text())
    kept = _limited(content["images"], source.limit, source.seed)
    photos.mkdir(parents=True)
    for image in kept:
        file = images / image["file_name"]
        if not file.is_file():
            raise DemoRefusedError(f"{annotations.name} names {image['file_name']}, which is not in {images}.")
        shutil.copyfile(file, photos / file.name)
    ids = {image["id"] for image in kept}
    content["images"] = kept
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in ids]
    truth.write_text(json.dumps(content))


def _limited(images: list[dict[str, Any]], limit: int | None, seed: int) -> list[dict[str, Any]]:
    """Return at most `limit` images, drawn one group after the other, so that many vehicles remain."""
    if not limit or limit >= len(images):
        return images
    rng = random.Random(seed)  # noqa: S311 - draws photos, guards nothing
    groups: dict[str, list[dict[str, Any]]] = {}
    for image in rng.sample(images, len(images)):
        groups.setdefault(str(image.get("group", image["file_name"])), []).append(image)
    drawn: list[dict[str, Any]] = []
    while len(drawn) < limit:
        for waiting in groups.values():
            if waiting and len(drawn) < limit:
                drawn.append(waiting.pop())
    return sorted(drawn, key=lambda image: int(image["id"]))


def _write_vehicles(path: Path, content: dict[str, Any]) -> None:
    with path.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["file", "vehicle"])
        writer.writerows([Path(i["file_name"]).name, i["group"]] for i in content["images"] if i.get("group"))


def _break_two(photos: Path) -> None:
    """Add a file that is no image and one that was cut off: an import must set both aside and go on."""
    whole = next(photos.glob("*.jpg")).read_bytes()
    (photos / "broken-cut-off.jpg").write_bytes(whole[: len(whole) // 3])
    (photos / "broken-no-image.jpg").write_bytes(os.linesep.join(["This is no photo."]).encode())


def _classes(content: dict[str, Any]) -> list[str]:
    used = {a["category_id"] for a in content["annotations"]}
    ordered = sorted(content["categories"], key=lambda category: int(category["id"]))
    return [c["name"] for c in ordered if c["id"] in used] or [c["name"] for c in ordered]
