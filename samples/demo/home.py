"""The demo's memory: which photos its home was made from, which steps are done, and how long each took."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class DemoRefusedError(Exception):
    """The demo can't run as asked; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the photos come from. Without `images` the demo makes its own."""

    images: str | None = None
    annotations: str | None = None
    base: str | None = None
    limit: int | None = None
    seed: int = 0
    size: str = "full"

    def words(self) -> str:
        """Return a description for people."""
        if self.images is None:
            return f"generated photos of seed {self.seed}" + (" (small)" if self.size == "small" else "")
        limit = f", at most {self.limit}" if self.limit else ""
        return f"the photos in {self.images}{limit}"


@dataclass(slots=True)
class DemoHome:
    """`$DAMAGELOOP_HOME/demo`: state.json while it runs, result.json at the end."""

    home: Path
    source: Source
    step_seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.home / "demo"

    @property
    def result_file(self) -> Path:
        return self.folder / "result.json"

    def is_done(self, step: str) -> bool:
        """Tell whether an earlier run finished this step."""
        return step in self.step_seconds

    def run(self, step: str, action: Callable[[], dict[str, Any] | None]) -> None:
        """Do a step unless it is done; its seconds and what it returns are remembered at once."""
        if self.is_done(step):
            return
        started = time.monotonic()
        self.notes |= action() or {}
        self.step_seconds[step] = round(time.monotonic() - started, 1)
        self.save()

    def save(self) -> None:
        """Write the state, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"source": asdict(self.source), "step_seconds": self.step_seconds, "notes": self.notes}
        _write(self.folder / "state.json", content)

    def finish(self, result: dict[str, Any]) -> None:
        """Write the result, which marks the demo as finished."""
        _write(self.result_file, result)

    def result(self) -> dict[str, Any] | None:
        """Return the result of a finished demo."""
        return dict(json.loads(self.result_file.read_text())) if self.result_file.exists() else None


def open_home(home: Path, source: Source, is_fresh: bool, say: Callable[[str], None]) -> DemoHome:
    """Return the demo's home, taken up again where there is one.

    Raises:
        DemoRefusedError: If the home belongs to a platform, or to a demo of other photos.
    """
    if is_fresh and home.exists():
        aside = home.with_name(f"{home.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
        home.rename(aside)
        say(f"FRESH=1: the old home {home.name} is now {aside.name}.")
    state_file = home / "demo" / "state.json"
    if not state_file.exists():
        _refuse_other_home(home)
        fresh = DemoHome(home, source)
        fresh.save()
        return fresh
    state = json.loads(state_file.read_text())
    if state["source"] != asdict(source):
        known = Source(**state["source"]).words()
        raise DemoRefusedError(
            f"The home {home} holds a demo of {known}, not of {source.words()}; FRESH=1 begins anew and keeps the "
            "old one beside it, or let DAMAGELOOP_HOME name another folder."
        )
    return DemoHome(home, source, state["step_seconds"], state["notes"])


def _refuse_other_home(home: Path) -> None:
    if home.exists() and any(home.iterdir()):
        raise DemoRefusedError(
            f"The home {home} holds a platform that is not a demo; FRESH=1 puts it aside as {home.name}.<time>, or "
            "let DAMAGELOOP_HOME name another folder."
        )


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(draft, path)
