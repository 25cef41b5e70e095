"""Feeds broken files to the reader in a process with limits: `python -m tests.integration.feed_reader SEED FILES`."""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections import Counter

from damageloop.adapters.photos.careful import shared_decoders
from damageloop.adapters.photos.decoding import ImageLimits
from damageloop.adapters.photos.reader import LimitedImageReader
from damageloop.errors import InvalidImageError
from tests.integration.broken_files import damaged_files, encoded, many_scans, odd_photos, picture, refused

MEMORY_BYTES = 1_500_000_000
CPU_S = 240
LIMITS = ImageLimits(max_file_bytes=500_000, max_pixels=4_000_000, min_side_px=1)


def feed(seed: int, n_files: int) -> dict[str, object]:
    """Return how many files came to what, and what should not have happened."""
    warnings.simplefilter("ignore")
    reader = LimitedImageReader(LIMITS)
    files = [*odd_photos().items(), *((name, content) for name, (_, content) in refused().items())]
    files += [("many scans", many_scans(300)), *damaged_files(seed, n_files)]
    results: Counter[str] = Counter()
    surprises: list[str] = []
    for name, content in files:
        try:
            photo = reader.read(content, 640)
            reader.quality(photo.pixels)
            results["photo"] += 1
        except InvalidImageError as exc:
            results[exc.code] += 1
        except Exception as exc:  # noqa: BLE001  # this is what is looked for
            surprises.append(f"{name}: {type(exc).__name__} {exc}")
    good = [reader.read(encoded(picture(), kind), 640).size_wh for kind in ("JPEG", "PNG", "WEBP")]
    good.append(reader.read(odd_photos()["cmyk jpeg"], 640).size_wh)
    shared_decoders().close()
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    peak_mb = [own.ru_maxrss // 1024, children.ru_maxrss // 1024]
    return {"results": dict(results), "surprises": surprises, "good": good, "peak_mb": peak_mb}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    print(json.dumps(feed(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201
