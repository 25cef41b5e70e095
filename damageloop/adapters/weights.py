"""Finds what a training starts from: a weights file in configured folders, or nothing. Never looks on the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from damageloop.adapters.provenance import file_sha256
from damageloop.errors import InvalidInputError, NotFoundError
from damageloop.params import NO_BASE

# The network that is trained from scratch: its plan ships inside ultralytics, so nothing is fetched.
ARCHITECTURE = "yolo11n.yaml"


@dataclass(frozen=True, slots=True)
class Base:
    """What a training starts from.

    Attributes:
        model: What ultralytics is given: a weights file's path, or the name of a plan that it ships.
        sha256: Hash of the weights file; `none` from scratch.
        folder: Where the weights file lies; None from scratch.
    """

    model: str
    sha256: str
    folder: Path | None


def find_base(name: str, folders: Sequence[Path]) -> Base:
    """Return what `model.base` in params.yaml names; `none` starts from scratch. See `find_weights` for the errors."""
    if name == NO_BASE:
        return Base(ARCHITECTURE, NO_BASE, None)
    weights = find_weights(name, folders)
    return Base(str(weights), file_sha256(weights), weights.parent)


def find_weights(name: str, folders: Sequence[Path]) -> Path:
    """Return the first file called `name` in the folders, in their order.

    Args:
        name: A bare file name, as `model.base` in params.yaml gives it.
        folders: `DAMAGELOOP_WEIGHTS_DIR`, where it is set, then the home's `weights/`, then `starter/`.

    Raises:
        InvalidInputError: If the name holds a folder: params.yaml goes to machines where that path is not.
        NotFoundError: If no folder has it; the sentence names them and the way to get it.
    """
    if not name or Path(name).name != name:
        raise InvalidInputError(f"model.base is {name!r}; it must be a file name without a folder.")
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    searched = " and ".join(str(folder) for folder in folders) or "no folder at all"
    raise NotFoundError(
        f"The weights file {name} was not found (looked in {searched}): put it into the folder that "
        "DAMAGELOOP_WEIGHTS_DIR names, or let `damageloop init --download-weights` fetch it."
    )
