"""Fetches the genuine base weights from their makers' release page: the product's only download, only when asked."""

from __future__ import annotations

import os
from pathlib import Path

import httpx

from damageloop.errors import UnavailableError

RELEASE_URL = "https://github.com/ultralytics/assets/releases/download/v8.3.0"


def download_weights(name: str, folder: Path) -> Path:
    """Fetch `name` into `folder` unless it is there, and return its path.

    Raises:
        UnavailableError: If it can't be fetched; nothing half-written stays.
    """
    target = folder / name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    try:
        with httpx.stream("GET", f"{RELEASE_URL}/{name}", follow_redirects=True, timeout=30.0) as answer:
            answer.raise_for_status()
            with draft.open("wb") as file:
                for part in answer.iter_bytes():
                    file.write(part)
    except (httpx.HTTPError, OSError) as exc:
        draft.unlink(missing_ok=True)
        raise UnavailableError(
            f"{name} could not be fetched from {RELEASE_URL}; put it into {folder} by hand."
        ) from exc
    os.replace(draft, target)
    return target
