"""Fills a migrated database with many images and what a loop in use knows of them. Rows only: photos have no bytes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, MetaData

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VERSION = 1
ROUND_SIZE = 200
BATCH = 5000
_CLASSES = ("scratch", "dent")


def fill(engine: Engine, n_images: int, seed: int = 0) -> None:
    """Write the images, a prediction for each, annotations for a fifth, rounds over these, and some of the rest."""
    metadata = MetaData()
    metadata.reflect(engine)
    rng = random.Random(seed)  # noqa: S311 (data of a benchmark)
    with engine.begin() as connection:
        tables = metadata.tables
        _write(connection, tables["images"], (_image(n, rng) for n in range(1, n_images + 1)))
        model = {
            "version": VERSION,
            "training_key": "scale",
            "created_at": MOMENT,
            "run_id": "r",
            "mlflow_version": "1",
        }
        _write(connection, tables["models"], iter([model | {"metrics": {"map50": 0.5}}]))
        promoted = {"id": 1, "model_version": VERSION, "reason": "person", "created_at": MOMENT}
        _write(connection, tables["promotions"], iter([promoted]))
        # By parts, so that a million fit into memory.
        for part in _parts(_prediction(n, rng) for n in range(1, n_images + 1)):
            _write(connection, tables["predictions"], part)
            _write(connection, tables["prediction_classes"], _predicted(part))
        labeled = range(1, n_images + 1, 5)
        _write(connection, tables["annotations"], (_annotation(place, n) for place, n in enumerate(labeled, 1)))
        drawn = ({"damage_class": _CLASSES[n % 2], "image_id": n} for n in labeled if n % 3)
        _write(connection, tables["annotation_classes"], drawn)
        n_rounds = (len(labeled) + ROUND_SIZE - 1) // ROUND_SIZE
        _write(connection, tables["rounds"], (_round(n) for n in range(1, n_rounds + 1)))
        _write(connection, tables["round_items"], (_item(place, n) for place, n in enumerate(labeled)))
        refused = (
            {"file": f"{n}.jpg", "code": "truncated", "reason": "It ends early."} for n in range(n_images // 100)
        )
        _write(connection, tables["quarantine"], (row | {"created_at": MOMENT} for row in refused))
        ids = list(range(1, n_images + 1, 10))
        subset = {"id": 1, "name": "every tenth", "note": "", "image_ids": ids, "created_by": "benchmark"}
        _write(connection, tables["subsets"], iter([subset | {"created_at": MOMENT, "updated_at": MOMENT}]))


def _write(connection: Connection, table: Any, rows: Iterable[dict[str, Any]]) -> None:
    for part in _parts(rows):
        connection.execute(table.insert(), part)


def _parts(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    left = iter(rows)
    while part := list(islice(left, BATCH)):
        yield part


def _image(n: int, rng: random.Random) -> dict[str, Any]:
    split = rng.choices(("train", "val", "test"), (60, 15, 25))[0]
    return {
        "id": n,
        "sha256": f"{n:064x}",
        "source_sha256": f"{n:063x}f",
        "extension": "jpg",
        "file_name": f"car{n // 4}_view{n % 4}.jpg",
        "width": 640,
        "height": 480,
        "n_bytes": 60_000,
        "brightness": rng.gauss(120.0, 30.0),
        "contrast": 40.0,
        "sharpness": rng.uniform(20.0, 400.0),
        "perceptual_hash": f"{rng.getrandbits(64):016x}",
        "vehicle": f"car{n // 4}",
        "group_key": f"car{n // 4}",
        "split": split,
        "status": "active",
        "origin": "import",
        "created_at": MOMENT,
        "sequence": 0,
    }


def _prediction(n: int, rng: random.Random) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        {
            "class": name,
            "confidence": round(rng.betavariate(1, 3), 5),
            "box": [10.0, 20.0, 110.0, 90.0],
            "scores": [0.1, 0.2],
            "entropy": None,
        }
        for name in _CLASSES[: rng.randint(0, 2)]
    ]
    top = max((each["confidence"] for each in found), default=0.01)
    given = {"image_id": n, "model_version": VERSION, "detections": found, "mirrored": None}
    return {**given, "top_score": top, "created_at": MOMENT}


def _predicted(predictions: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in predictions:
        for each in row["detections"]:
            key = {"model_version": VERSION, "damage_class": each["class"], "image_id": row["image_id"]}
            yield {**key, "top_score": each["confidence"]}


def _annotation(place: int, n: int) -> dict[str, Any]:
    return {
        "image_id": n,
        "source": "label-studio",
        "external_id": str(place),
        "verdict": "damaged" if n % 3 else "clean",
        "boxes": [[_CLASSES[n % 2], 10.0, 20.0, 110.0, 90.0]] if n % 3 else [],
        "annotator": f"user-{place % 5}",
        "lead_time_s": 12.0,
        "updated_at": MOMENT,
        "is_deleted": False,
        "content_hash": f"{n:064x}",
        "sequence": place,
        "task_id": place,
    }


def _round(n: int) -> dict[str, Any]:
    return {
        "id": n,
        "kind": "query",
        "strategy": "entropy",
        "state": "closed",
        "model_version": VERSION,
        "seed": n,
        "opened_at": MOMENT,
        "closed_at": MOMENT,
    }


def _item(place: int, n: int) -> dict[str, Any]:
    return {
        "round_id": place // ROUND_SIZE + 1,
        "image_id": n,
        "share": "chosen" if place % 10 else "explored",
        "probability": None if place % 10 else 0.1,
        "rank": place % ROUND_SIZE,
        "reason": "for scale",
        "state": "reviewed",
        "task_id": place + 1,
    }
