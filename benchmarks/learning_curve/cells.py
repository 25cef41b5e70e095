"""A cell of a run is a seed, an arm and a round, written whole: a run can be cut off, resumed and merged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from damageloop.domain.evaluation import ImageEvaluation

# Round 0 is the same for all arms of a seed.
SHARED = "shared"
# The class of records in which all classes count as one.
ANY_DAMAGE = "damage"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a round left.

    Attributes:
        arm: Name of the arm, or `shared` in round 0.
        picked: File names of the photos chosen in this round, most wanted first.
        review_seconds: Of this round's photos; those of earlier rounds are in earlier cells.
        calibration: How often the boxes of the model before were right on this round's photos, by score bin.
        train_seconds: Wall clock of the training.
    """

    seed: int
    arm: str
    round: int
    picked: tuple[str, ...]
    boxes: int
    review_seconds: float
    figures: dict[str, Any]
    select_seconds: float
    train_seconds: float
    calibration: tuple[float, ...] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellFolder:
    """The cells of a run on the disk; figures and records of each, and the weights that the next round needs."""

    path: Path

    def cell(self, seed: int, arm: str, number: int) -> Cell | None:
        """Return a cell, or None where it was not finished."""
        file = self._file(seed, arm, number, "json")
        if not file.is_file():
            return None
        content = json.loads(file.read_text())
        content["picked"] = tuple(content["picked"])
        content["calibration"] = None if content["calibration"] is None else tuple(content["calibration"])
        return Cell(**content)

    def keep(self, cell: Cell, records: Sequence[ImageEvaluation], merged: Sequence[ImageEvaluation]) -> None:
        """Write records by class and of all classes taken as one, then the cell: a cell that is there is whole."""
        target = self._file(cell.seed, cell.arm, cell.round, "json")
        for extension, kind in (("npz", records), ("merged.npz", merged)):
            np.savez_compressed(self._file(cell.seed, cell.arm, cell.round, extension), **_arrays_of(kind))
        part = target.with_suffix(".part")
        part.write_text(json.dumps(asdict(cell)))
        part.replace(target)

    def records(self, cell: Cell, is_merged: bool) -> list[ImageEvaluation]:
        """Return the records of a finished cell, by class or of all classes taken as one."""
        extension = "merged.npz" if is_merged else "npz"
        with np.load(self._file(cell.seed, cell.arm, cell.round, extension), allow_pickle=False) as arrays:
            return _records_of({name: arrays[name] for name in arrays.files})

    def weights(self, seed: int, arm: str, number: int) -> Path:
        """Return where the weights of a cell lie, or will."""
        return self._file(seed, arm, number, "pt")

    def finished(self) -> list[Cell]:
        """Return all finished cells, in the order of seed, arm and round."""
        names = sorted(self.path.glob("*.json")) if self.path.is_dir() else []
        keys = [file.stem.split("~") for file in names if file.stem.count("~") == 2]
        found = [self.cell(int(seed), arm, int(number)) for seed, arm, number in keys]
        return sorted((c for c in found if c), key=lambda c: (c.seed, c.arm, c.round))

    def _file(self, seed: int, arm: str, number: int, extension: str) -> Path:
        self.path.mkdir(parents=True, exist_ok=True)
        return self.path / f"{seed}~{arm}~{number}.{extension}"


def _arrays_of(records: Sequence[ImageEvaluation]) -> dict[str, Any]:
    names = sorted({name for r in records for name in (*r.truth_counts, *r.classes)})
    codes = {name: code for code, name in enumerate(names)}
    return {
        "names": np.array(names, dtype=np.str_),
        "images": np.array([r.image for r in records], dtype=np.str_),
        "groups": np.array([r.group for r in records], dtype=np.str_),
        "truths": np.array([[r.truth_counts.get(n, 0) for n in names] for r in records], dtype=np.int32),
        "counts": np.array([len(r.classes) for r in records], dtype=np.int32),
        "classes": np.array([codes[c] for r in records for c in r.classes], dtype=np.int16),
        "confidences": np.concatenate([np.zeros(0), *(r.confidences for r in records)]).astype(np.float32),
        "hits": np.concatenate([np.zeros((0, 10), dtype=np.bool_), *(r.hits for r in records)]),
    }


def _records_of(arrays: dict[str, Any]) -> list[ImageEvaluation]:
    names = [str(name) for name in arrays["names"]]
    ends = np.cumsum(arrays["counts"])
    return [
        ImageEvaluation(
            str(arrays["images"][i]),
            str(arrays["groups"][i]),
            {name: int(count) for name, count in zip(names, arrays["truths"][i], strict=True) if count},
            tuple(names[code] for code in arrays["classes"][end - count : end]),
            arrays["confidences"][end - count : end].astype(np.float64),
            arrays["hits"][end - count : end],
        )
        for i, (count, end) in enumerate(zip(arrays["counts"], ends, strict=True))
    ]
