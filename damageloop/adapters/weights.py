"""Finds a weights file by its name in configured folders. Never looks on the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from damageloop.errors import InvalidInputError, NotFoundError


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
