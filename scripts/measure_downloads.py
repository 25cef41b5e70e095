"""Adds up what each lock downloads: the size of the wheel (or source archive) that fits each pinned package.

Prints one line for each lock, `<lock> <bytes>`; a dev lock counts only what the platform's lock does not hold.
Run by scripts/lock.sh, which passes the path of uv and the Python versions.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags
from packaging.utils import parse_wheel_filename

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def pinned_packages(uv: str, lock: Path, python: str) -> list[dict[str, Any]]:
    """Returns the packages of a lock with their files and sizes, as the registry tells them."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pylock.toml"
        command = [uv, "pip", "compile", "--quiet", "--no-deps", "--python-version", python]
        subprocess.run([*command, "--output-file", str(target), str(lock)], check=True, stdout=subprocess.DEVNULL)
        packages: list[dict[str, Any]] = tomllib.loads(target.read_text())["packages"]
    return packages


def fitting_tags(python: str) -> dict[Tag, int]:
    """Returns the wheel tags that fit CPython of this version on this machine, best first."""
    version = tuple(int(part) for part in python.split("."))
    platforms = list(platform_tags())
    tags = [*cpython_tags(version, platforms=platforms), *compatible_tags(version, platforms=platforms)]
    return {tag: rank for rank, tag in enumerate(tags)}


def download_bytes(package: dict[str, Any], ranks: dict[Tag, int]) -> int:
    """Returns the size of the file an installer takes for one package."""
    candidates = []
    for wheel in package.get("wheels", []):
        name = wheel.get("name") or wheel["url"].rsplit("/", 1)[-1]
        fitting = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        if fitting:
            candidates.append((min(fitting), wheel["size"]))
    size: int = min(candidates)[1] if candidates else package["sdist"]["size"]
    return size


def main(uv: str, pythons: list[str]) -> None:
    """Prints the measured size of every lock."""
    for python in pythons:
        tag = "py" + python.replace(".", "")
        ranks = fitting_tags(python)
        platform_lock = (REQUIREMENTS / f"platform-{tag}.txt").read_text()
        platform_names = set(re.findall(r"^([a-z0-9-]+)==", platform_lock, re.MULTILINE))
        for kind in ("platform", "label-studio", "dev"):
            packages = pinned_packages(uv, REQUIREMENTS / f"{kind}-{tag}.txt", python)
            if kind == "dev":
                packages = [package for package in packages if package["name"] not in platform_names]
            print(f"{kind}-{tag} {sum(download_bytes(package, ranks) for package in packages)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
