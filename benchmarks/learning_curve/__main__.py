"""`python -m benchmarks.learning_curve --json FILE`: learning curves of query strategies on a replayed pool."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.learning_curve.settings import RunSettings
from damageloop.errors import DamageloopError

DEFAULT_ARMS = ("random", "least_confidence", "entropy", "uncertainty_herding")
WEIGHTS = ("yolo11n.pt", "yolo11n-coco-dequantised.pt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing, then write the report. Returns an exit code."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except DamageloopError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning_curve", description=__doc__)
    parser.add_argument("--json", default="-", metavar="FILE", help="where the figures go; - is standard output")
    parser.add_argument("--images", type=Path, help="folder of photos; without it photos are generated")
    parser.add_argument("--pool", type=Path, help="COCO file of the photos to choose from")
    parser.add_argument("--eval", type=Path, nargs="+", default=[], help="COCO files of the photos to judge by")
    parser.add_argument("--base", type=Path, help="weights that every training starts from")
    parser.add_argument("--arms", default=",".join(DEFAULT_ARMS), help="strategies, and semi_supervised (%(default)s)")
    parser.add_argument("--seeds", default="1,2,3,4,5", help="(%(default)s)")
    parser.add_argument("--resume", type=Path, help="folder of cells: finished ones are taken as they are")
    parser.add_argument("--processes", type=int, default=1, help="seeds side by side (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--markdown", type=Path, help="write the page for people")
    parser.add_argument("--plot", type=Path, help="write the curves as a PNG file")
    parser.add_argument("--report-only", action="store_true", help="run nothing, report the finished cells")
    parser.add_argument(
        "--pilot-seed", type=int, help="its random curve sets the targets beforehand; it is left out of all tests"
    )
    for item in fields(RunSettings):
        kind = type(item.default)
        parser.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=item.default, help="(%(default)s)")
    return parser


def _run(options: argparse.Namespace) -> None:
    from benchmarks.learning_curve.report import report

    options.resume = options.resume or Path(tempfile.mkdtemp(prefix="learning-curve-"))
    print(f"Cells are kept in {options.resume}; --resume {options.resume} goes on from there.", file=sys.stderr)
    seeds = [int(part) for part in options.seeds.split(",")]
    if not options.report_only:
        _run_seeds(options, seeds)
    report(options, settings_of(options))


def settings_of(options: argparse.Namespace) -> RunSettings:
    """Return the settings that the command line asks for."""
    names = {item.name for item in fields(RunSettings)}
    return replace(RunSettings(), **{name: getattr(options, name) for name in names})


def _run_seeds(options: argparse.Namespace, seeds: Sequence[int]) -> None:
    if options.processes == 1:
        # The cache is made once, by whoever comes first.
        for seed in seeds:
            run_seed(options, seed)
        return
    run_seed(options, seeds[0], is_only_prepared=True)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        pool.starmap(run_seed, [(options, seed) for seed in seeds], chunksize=1)


def run_seed(options: argparse.Namespace, seed: int, is_only_prepared: bool = False) -> None:
    """Run all rounds of all arms under one seed; or only make what all seeds share."""
    # Before torch is loaded: idle threads of several processes must not spin.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from benchmarks.learning_curve.cells import CellFolder
    from benchmarks.learning_curve.rounds import Replay

    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // options.processes))
    bench = _bench(options)
    if not is_only_prepared:
        Replay(bench, CellFolder(options.resume), _tell).run(seed, options.arms.split(","))


def _bench(options: argparse.Namespace) -> Any:
    from benchmarks.learning_curve.network import fresh_model, split_of
    from benchmarks.learning_curve.photos import generated_photos, read_photos
    from benchmarks.learning_curve.tensors import open_cache
    from benchmarks.learning_curve.training import Bench

    settings = settings_of(options)
    if options.images:
        photos = read_photos(options.images, options.pool, options.eval)
    else:
        photos = generated_photos(options.resume / "generated", seed=0)
    base = base_of(options)

    def make_model() -> Any:
        return fresh_model(base, photos.classes, 0)

    split = split_of(make_model(), settings.n_frozen)
    folder = options.resume / f"cache-{settings.image_size}-{settings.n_frozen}"
    cache = open_cache(folder, photos.all, settings.image_size, make_model, split, options.device)
    _refuse_other_run(options, settings, photos.classes)
    return Bench(photos, cache, base, settings, split, options.device)


def base_of(options: argparse.Namespace) -> Path:
    """Return the weights file that was named, or the first known one in the configured folder or in `starter/`."""
    from damageloop.adapters.weights import find_weights

    if options.base:
        return Path(options.base)
    configured = os.environ.get("DAMAGELOOP_WEIGHTS_DIR")
    folders = [*([Path(configured)] if configured else []), Path("starter")]
    for name in (*WEIGHTS, "starter-yolo11n.pt"):
        if any((folder / name).is_file() for folder in folders):
            return find_weights(name, folders)
    return find_weights(WEIGHTS[0], folders)


def _refuse_other_run(options: argparse.Namespace, settings: RunSettings, classes: tuple[str, ...]) -> None:
    """Refuse to mix cells of different settings in one folder."""
    import json

    from damageloop.errors import ConflictError

    content = {"settings": asdict(settings), "classes": list(classes)}
    file = options.resume / "run.json"
    if file.is_file() and json.loads(file.read_text()) != content:
        raise ConflictError(f"{options.resume} holds cells of other settings or classes; name another folder.")
    file.write_text(json.dumps(content))


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
