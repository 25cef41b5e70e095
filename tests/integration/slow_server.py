"""A real server in a process of its own, whose model takes its time: for tests of how it ends.

`python -m tests.integration.slow_server FOLDER PORT SECONDS`; it prints an API key once it is about to listen.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import uvicorn

from api.main import create_app
from damageloop.adapters.database.migrate import upgrade
from damageloop.adapters.database.unit_of_work import make_engine
from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.key import Scope
from tests.fakes.clock import FakeClock
from tests.fakes.detector import FakeDetector
from tests.integration.api_world import ApiWorld


def main(folder: Path, port: int, seconds: float) -> None:
    """Serve until a signal ends it."""
    url, clock = f"sqlite:///{folder / 'damageloop.sqlite'}", FakeClock()
    upgrade(url)
    detector = FakeDetector(before=lambda _: time.sleep(seconds))
    world = ApiWorld(SqlUnitOfWorkFactory(make_engine(url), clock), clock, folder, detector)
    world.promote(1)
    print(world.key(Scope.PREDICT)["X-API-Key"], flush=True)  # noqa: T201
    uvicorn.run(create_app(world.services), port=port, log_level="error", timeout_graceful_shutdown=30)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
