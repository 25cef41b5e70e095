"""Command line of the generator: ``python -m samples.generator FOLDER``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from samples.generator.world import WORLDS
from samples.generator.write import DEFAULT_DAMAGED_SHARE, DEFAULT_SIZE_WH, generate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m samples.generator", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the photos and annotations.coco.json go")
    parser.add_argument("--vehicles", type=int, default=100, help="number of vehicles (default: %(default)s)")
    parser.add_argument("--views", type=int, default=3, help="photos of each vehicle (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default: %(default)s)")
    parser.add_argument("--world", choices=sorted(WORLDS), default="full", help="bounds of variety (default: full)")
    parser.add_argument("--width", type=int, default=DEFAULT_SIZE_WH[0], help="pixels (default: %(default)s)")
    parser.add_argument("--height", type=int, default=DEFAULT_SIZE_WH[1], help="pixels (default: %(default)s)")
    parser.add_argument("--damaged-share", type=float, default=DEFAULT_DAMAGED_SHARE, help="share of damaged vehicles")
    parser.add_argument("--dark-share", type=float, help="share of vehicles in dim light (default: the world's)")
    return parser


def _show(done: int, total: int) -> None:
    if done == total or done % 10 == 0:
        print(f"\r{done} of {total} photos", end="\n" if done == total else "", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Generate photos as the command line says and return the exit status."""
    options = _parser().parse_args(arguments)
    path = generate(
        options.folder,
        vehicles=options.vehicles,
        views=options.views,
        seed=options.seed,
        size_wh=(options.width, options.height),
        world=WORLDS[options.world],
        damaged_share=options.damaged_share,
        dark_share=options.dark_share,
        on_photo=_show,
    )
    document = json.loads(path.read_text(encoding="utf-8"))
    damaged = sum(image["kind"] == "damage" for image in document["images"])
    total = len(document["images"])
    print(f"{total} photos, {damaged} with damage, {len(document['annotations'])} boxes: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
