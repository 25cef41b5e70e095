"""Writes the OpenAPI document of each surface to a folder: `python -m api.document docs/openapi`, or `make openapi`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from api import openapi
from api.main import Surface, bare_app

SURFACES: tuple[Surface, ...] = ("pricing", "operations")
_ARGUMENTS = 2


def document(surface: Surface) -> dict[str, Any]:
    """Return the document of a surface; needs no platform."""
    return openapi.document(bare_app(surface))


def as_text(content: dict[str, Any]) -> str:
    """Return the document as it is kept in a file."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(folder: Path) -> list[Path]:
    """Write `<surface>.json` for each surface; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for surface in SURFACES:
        file = folder / f"{surface}.json"
        file.write_text(as_text(document(surface)), encoding="utf-8")
        written.append(file)
    return written


if __name__ == "__main__":
    if len(sys.argv) != _ARGUMENTS:
        sys.exit("Usage: python -m api.document FOLDER")
    sys.stdout.writelines(f"{file}\n" for file in write(Path(sys.argv[1])))
