"""Images as the database would give them, and the repository's own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from damageloop.domain.image import Image, ImageQuality, StoredImage
from damageloop.domain.split import Split
from damageloop.params import Params, parse_params

PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"
SIZE_WH = (100, 80)


def make_params(**sections: Mapping[str, Any]) -> Params:
    """Return params.yaml with some values of some sections replaced."""
    content = yaml.safe_load(PARAMS_FILE.read_text())
    for name, values in sections.items():
        content[name] |= values
    return parse_params(content)


def make_stored(number: int, size_wh: tuple[int, int] = SIZE_WH) -> StoredImage:
    return StoredImage(
        sha256=f"{number:064x}",
        source_sha256=f"{number + 2**128:064x}",
        extension="jpg",
        width=size_wh[0],
        height=size_wh[1],
        n_bytes=1000,
        quality=ImageQuality(brightness=120.0, contrast=40.0, sharpness=80.0),
        perceptual_hash=f"{number:016x}",
    )


def make_image(number: int, split: Split = Split.TRAIN, vehicle: str | None = None, group: str | None = None) -> Image:
    name = vehicle or f"car{number}"
    return Image(number, make_stored(number), f"{name}_view{number}.jpg", name, group or name, split)
