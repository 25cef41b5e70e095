"""What the command line uses: the shared core, the process manager, and an answer without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from damageloop.errors import ConflictError, InvalidInputError

# Loaded by the command that runs, not by `--help`: the database's library alone takes a third of a second.
if TYPE_CHECKING:
    from damageloop.adapters.supervisor import Supervisor
    from damageloop.bootstrap.core import Core
    from damageloop.settings import Settings


def make_core() -> Core:
    """Return the core on the settings of the environment.

    Raises:
        ConflictError: If the platform was never initialised.
    """
    from damageloop.bootstrap.core import Core
    from damageloop.settings import Settings

    settings = Settings()
    if not settings.params_file.exists():
        raise ConflictError(f"There is no platform in {settings.root} yet; `damageloop init` makes one.")
    return Core(settings)


def make_supervisor(say: Callable[[str], None], settings: Settings | None = None) -> Supervisor:
    """Return the process manager of the embedded platform."""
    from damageloop.adapters.supervisor import Supervisor
    from damageloop.bootstrap.processes import programs
    from damageloop.settings import Settings

    found = settings or Settings()
    return Supervisor(found.root / "run", programs(found), say)


def answer_photos(paths: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each photo's answer by the champion, in the API's schema; a file that can't be read has an error."""
    from damageloop.bootstrap.api import build_api
    from damageloop.services.serving.answer_damage import NoReadableImageError, answer_unreadable
    from damageloop.settings import Settings

    services = build_api(Settings())
    services.champion.load_now()
    services.open_drift.refresh()
    for path in paths:
        try:
            yield path, services.answer_damage([(path.name, _content(path))])
        except NoReadableImageError as exc:
            yield path, answer_unreadable(exc)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidInputError(f"{path} could not be read: {exc.strerror}.") from exc
