"""Our API and ML backend beside others on one model: `python -m benchmarks.serving --json FILE`.

All sides run in every round, one after another, each while all others are paused; figures are medians over the rounds.
A side that does not start is told as such. `--load-minutes` and `--promotion` measure our own API alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import numbers
from benchmarks.report import environment, print_table, write_report, write_whole
from benchmarks.serving.contest import BareSide, Contest, bare_sides
from benchmarks.serving.endurance import endure
from benchmarks.serving.material import IMAGE_SIZE, find_base, prepare
from benchmarks.serving.page import page, readable, readable_targets
from benchmarks.serving.pool_turns import Pools
from benchmarks.serving.process import StartError
from benchmarks.serving.ratios import ratios, summary
from benchmarks.serving.same_boxes import compare_shapes
from benchmarks.serving.sides import BF16, F32, TASKS_IN_A_REQUEST, Place, all_sides
from benchmarks.serving.switch import promote_under_load

_LIBRARIES = (
    *("openvino", "ultralytics", "torch", "fastapi", "uvicorn", "litserve", "mlflow", "label-studio-ml", "gunicorn"),
    *("waitress", "simplejpeg", "opencv-python-headless", "pillow", "numpy"),
)
_N_STARTS = 3
_CROWD = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write the files. Returns an exit code."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="damageloop-serving-") as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        material = prepare(folder, find_base(options.base), options.images, options.photos)
        place = Place(folder, material)
        content: dict[str, Any] = {"settings": _settings(options, place)}
        if options.load_minutes:
            content["endurance"] = endure(place, options.precision[0], options.load_minutes, options.load_share)
        elif options.promotion:
            content["promotion"] = promote_under_load(place, options.precision[0])
        else:
            content |= _contest(place, options)
        content |= environment(_LIBRARIES)
    write_report(options.json, content)
    if options.markdown:
        write_whole(options.markdown, page(content))
    _show(content)
    return 0


def _contest(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    makers = {name: make for name, make in all_sides(options.precision).items() if _is_asked(name, options)}
    bares = [side for side in bare_sides(place, options.precision) if _is_asked(side.name, options)]
    contest = Contest(place, makers)
    rows: list[dict[str, Any]] = []
    pool_rounds: list[dict[str, float]] = []
    pools = Pools(place, options.precision, options.pool_images)
    try:
        for number in range(options.rounds):
            found = _round(contest, bares, options, number)
            rows += [{**row, "round": number} for row in found]
            if not options.without_pool:
                pool_rounds.append(pools.turn(number, found))
        if not options.quick:
            _start_again(contest, options.precision)
        shapes = {p: compare_shapes(contest, p) for p in options.precision if f"ours {p}, landscape photos" in makers}
    finally:
        contest.close()
        for side in bares:
            side.close()
    pool = {"rounds": pool_rounds, "runs": pools.runs}
    starts = {name: contest.starts_s[name] for name in contest.starts_s}
    results = [{**row, "start_s": _start(starts, row["side"])} for row in summary(rows)]
    return {
        "results": results,
        "ratios": ratios(rows, starts, pool),
        "failures": contest.failures,
        "pool": pool,
        "landscape": shapes,
        "starts_s": starts,
        "rounds": rows,
    }


def _is_asked(name: str, options: argparse.Namespace) -> bool:
    return not options.sides or any(part.lower() in name.lower() for part in options.sides)


def _round(
    contest: Contest, bares: Sequence[BareSide], options: argparse.Namespace, number: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for side in bares:
        rows.append(side.turn(options.seconds))
        _tell(rows[-1])
    for name in contest.names:
        for row in contest.turn(name, _concurrencies(name, options, number), options.seconds):
            rows.append(row)
            _tell(row)
        if name in contest.failures:
            print(f"{name}: {contest.failures[name]}", file=sys.stderr)
    return rows


def _start_again(contest: Contest, precisions: Sequence[str]) -> None:
    """Start our API and the peer it is held against some more times: one start says little."""
    for name in (*(f"ours {precision}" for precision in precisions), "FastAPI + ultralytics"):
        if name not in contest.names:
            continue
        for _ in range(_N_STARTS - 1):
            try:
                contest.restart(name)
            except StartError as exc:
                contest.failures[name] = str(exc)
                break


def _start(starts: dict[str, list[float]], name: str) -> float | None:
    found = sorted(starts.get(name, []))
    return found[len(found) // 2] if found else None


def _concurrencies(name: str, options: argparse.Namespace, number: int) -> list[int]:
    """Return what a side is asked in a round: what takes long or is no target only in the first, if at all."""
    if "landscape" in name:
        return [_CROWD]
    if f"{TASKS_IN_A_REQUEST} a request" in name and (options.quick or number):
        # Sixteen at once are 256 photos, which a slow side needs half a minute for.
        return [c for c in options.concurrency if c <= _CROWD] or [_CROWD]
    is_ours = name.startswith("our")
    return options.concurrency if is_ours or not number else [c for c in options.concurrency if c > 1] or [_CROWD]


def _tell(row: dict[str, Any]) -> None:
    said = f"{row['images_per_s']:.1f} images/s, {row['cpu_ms'] / row['images_per_request']:.1f} CPU ms each"
    errors = f", {row['n_errors']} errors" if row["n_errors"] else ""
    print(f"{row['side']}, c={row['concurrency']}: {said}{errors}", file=sys.stderr)


def _show(content: dict[str, Any]) -> None:
    for part in ("endurance", "promotion"):
        if part in content:
            print_table([{"figure": key, "value": str(value)} for key, value in content[part].items()], part)
    if "results" in content:
        print_table(readable(content["results"]), f"{IMAGE_SIZE} px, {content['settings']['model']}")
        print_table(readable_targets(content["ratios"]), "Targets")


def _settings(options: argparse.Namespace, place: Place) -> dict[str, Any]:
    return {
        "model": find_base(options.base).name,
        "n_classes": len(place.material.labels),
        "image_size": IMAGE_SIZE,
        "photos": place.material.photo_source,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "pool_images": options.pool_images,
        "busy": options.busy,
        "load_average_at_the_end": [round(value, 1) for value in os.getloadavg()],
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--json", required=True, help="where the figures go; - is standard output")
    parser.add_argument("--markdown", type=Path, help="where the page for people goes")
    parser.add_argument("--quick", action="store_true", help="one short round: at most five minutes")
    parser.add_argument("--sides", "--only", type=_words, default=[], help="those whose name holds one of these words")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side has its turn (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a turn at one concurrency (%(default)s)")
    parser.add_argument("--concurrency", type=numbers, default=[1, 4, 16], help="(1,4,16)")
    parser.add_argument("--precision", type=_words, default=[F32, BF16], help="of ours (f32,bf16)")
    parser.add_argument(
        "--base", type=Path, help="checkpoint; else yolo11n of DAMAGELOOP_WEIGHTS_DIR, else the starter"
    )
    parser.add_argument("--images", type=Path, help="folder of JPEG photos; else photos are generated")
    parser.add_argument("--photos", type=int, default=100, help="how many photos (%(default)s)")
    parser.add_argument("--pool-images", type=int, default=300, help="of the pool (%(default)s)")
    parser.add_argument("--without-pool", action="store_true", help="leave the pre-annotation of a pool out")
    parser.add_argument("--folder", type=Path, help="kept with exports and photos, for the next run")
    parser.add_argument("--load-minutes", type=float, default=0.0, help="a long load on our API alone")
    parser.add_argument("--load-share", type=float, default=0.8, help="of the measured capacity (%(default)s)")
    parser.add_argument("--promotion", action="store_true", help="a promotion and a rollback under load")
    parser.add_argument("--busy", action="store_true", help="say that other work ran on the machine meanwhile")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.pool_images = 1, 2.0, 150
        options.concurrency = [c for c in options.concurrency if c > 1] or options.concurrency
    return options


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
