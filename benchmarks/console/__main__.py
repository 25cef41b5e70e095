"""Times the lists that pages of the console ask for, on a database with many images.

Each request goes through the real application and its routes, without a network between.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from api.main import create_app
from benchmarks.console.fill import VERSION, fill
from benchmarks.console.pages import running, store_photo, timed_pages
from benchmarks.report import environment, print_table, write_report
from damageloop.adapters.database.migrate import upgrade
from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.adapters.releases import FolderReleaseStore
from damageloop.bootstrap.api import ApiServices, build_api
from damageloop.domain.key import Scope
from damageloop.domain.release import ReleaseManifest
from damageloop.settings import Settings
from samples.generator import encode, photos

ROUTES = (
    ("data", "/images?limit=50"),
    ("data", "/images?limit=50&split=val"),
    ("data", "/images?limit=50&damage_class=dent"),
    ("data", "/images?limit=50&damage_class=glass"),
    ("data", "/images?limit=50&predicted_class=dent&order=score"),
    ("data", "/images?limit=50&order=score&min_score=0.5"),
    ("data", "/images?limit=50&order=uncertain"),
    ("data", "/images?limit=50&order=brightness&max_brightness=60"),
    ("data", "/images?limit=50&is_labeled=true"),
    ("data", "/images?limit=50&is_labeled=false&split=train"),
    ("data", "/images?limit=50&vehicle=car77"),
    ("data", "/images?limit=50&subset_id=1&order=brightness"),
    ("data", "/images/count?damage_class=dent"),
    ("queue", "/images?limit=50&share=explored"),
    ("queue", "/images?limit=50&round_id=3&order=rank"),
    ("queue", "/rounds?limit=100"),
    ("queue", "/rounds/3/items?limit=100"),
    ("data", "/quarantine?limit=100"),
    ("data", "/subsets"),
    ("jobs", "/jobs"),
    ("models", "/models"),
    ("overview", "/kpis"),
    ("overview", "/stopping"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", default="-")
    parser.add_argument("--pages", action="store_true", help="the pages in Chromium too, on a running API and console")
    wanted = parser.parse_args()
    results, pages = [], []
    for n_images in wanted.images:
        with tempfile.TemporaryDirectory() as folder:
            settings, services = _filled(Path(folder), n_images)
            key = services.keys.create("benchmark", [Scope.ADMIN])[1]
            client = TestClient(create_app(services), headers={"X-API-Key": key}, raise_server_exceptions=False)
            results += [_timed(client, n_images, page, route, wanted.repeats) for page, route in ROUTES]
            if wanted.pages:
                pages += _timed_pages(settings, key, n_images, wanted.repeats)
    print_table(results, "Warm requests")
    if pages:
        print_table(pages, "Pages in Chromium")
    write_report(wanted.json, {**environment(), "repeats": wanted.repeats, "results": results, "pages": pages})


def _filled(home: Path, n_images: int) -> tuple[Settings, ApiServices]:
    settings = Settings(home=home)
    settings.workspace_dir.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "params.yaml", settings.params_file)
    upgrade(settings.database)
    engine = make_engine(settings.database)
    fill(engine, n_images)
    engine.dispose()
    # Thresholds alone, which figures are made with: nothing here looks at a photo.
    thresholds = {"scratch": 0.3, "dent": 0.3}
    manifest = ReleaseManifest(VERSION, tuple(thresholds), 640, "f32", {}, thresholds, None, {})
    FolderReleaseStore(settings.release_store).publish(VERSION, {}, manifest)
    return settings, build_api(settings)


def _timed_pages(settings: Settings, key: str, n_images: int, repeats: int) -> list[dict[str, Any]]:
    engine = make_engine(settings.database)
    store_photo(engine, settings.root / "images", _photo())
    engine.dispose()
    with running(settings.root) as url:
        return timed_pages(url, key, n_images, repeats)


def _photo() -> bytes:
    (made,) = photos(vehicles=1, views=1, seed=5)
    return encode(made.photo)


def _timed(client: TestClient, n_images: int, page: str, route: str, repeats: int) -> dict[str, Any]:
    seconds = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        answer = client.get(f"/v1{route}")
        seconds.append(time.perf_counter() - began)
    # The first one warms up: after each review `/kpis` and `/stopping` are as slow as that.
    warm = sorted(seconds[1:])
    return {
        "images": n_images,
        "page": page,
        "route": route,
        "status": answer.status_code,
        "first_ms": round(1000 * seconds[0], 1),
        "p50_ms": round(1000 * statistics.median(warm), 1),
        "max_ms": round(1000 * warm[-1], 1),
    }


if __name__ == "__main__":
    main()
