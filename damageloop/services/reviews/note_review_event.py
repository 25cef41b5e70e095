"""Write down that the annotation tool reported something, and wake the loop: the event itself is only a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.errors import InvalidInputError
from damageloop.ports import Clock
from damageloop.ports.persistence import UnitOfWorkFactory

MAX_ACTION_LENGTH = 64


@dataclass(frozen=True, slots=True)
class NoteReviewEvent:
    """Keeps an event in the inbox. `nudge` is called after the commit and must return at once."""

    units: UnitOfWorkFactory
    clock: Clock
    nudge: Callable[[], None]

    def __call__(self, payload: Mapping[str, Any]) -> int:
        """Keep the event's kind and ids; return its number in the inbox.

        Nothing else is kept: reviews are read from the tool itself, and its payload holds whole tasks and accounts.

        Raises:
            InvalidInputError: If the payload names no action.
        """
        action = payload.get("action")
        if not isinstance(action, str) or not 1 <= len(action) <= MAX_ACTION_LENGTH:
            raise InvalidInputError("An event needs an `action` that names its kind.")
        ids = {name: _ids(payload.get(name)) for name in ("project", "task", "annotation", "annotations")}
        with self.units() as work:
            event_id = work.inbox.add(action, {k: v for k, v in ids.items() if v}, self.clock.now())
            work.after_commit(self.nudge)
            work.commit()
        return event_id


def _ids(value: Any) -> list[int]:
    items = value if isinstance(value, list) else [value]
    found = (item.get("id") if isinstance(item, Mapping) else item for item in items)
    return [item for item in found if isinstance(item, int) and not isinstance(item, bool)]
