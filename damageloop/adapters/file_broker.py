"""kombu's filesystem transport with whole files: no reader sees half a message or half a binding table.

kombu writes message and table files in place. A worker that lists the folder between `open` and `write` takes an
empty message, or reads an empty table, and dies of it. Here both are written aside and renamed, and a message is
claimed by a rename into a folder of the same file system instead of the shared temporary folder.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

NAME = "damageloop-files"
LOCATION = f"{__name__}:Transport"


class Channel(filesystem.Channel):
    """Folders are given by the transport options `data_folder_in`, `processed_folder`, `control_folder`."""

    # kombu's published types name this argument differently in two classes above.
    def _put(self, queue: str, message: Any, **_: Any) -> None:  # type: ignore[override]
        # Names sort by time, so that the oldest message is taken first; a leading dot hides the draft from readers.
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        _write_whole(Path(self.data_folder_out) / name, dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for waiting in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            if waiting.name.partition(".")[2] != f"{queue}.msg":
                continue  # a draft, or a queue whose name ends like this one's
            claimed = Path(self.processed_folder) / waiting.name
            try:
                waiting.rename(claimed)
            except FileNotFoundError:
                continue  # another worker was faster
            content = claimed.read_text(encoding="utf-8")
            claimed.unlink()
            return loads(content)
        raise Empty

    def get_table(self, exchange: str) -> list[Any]:
        """Return the bindings of an exchange."""
        try:
            content = self._table(exchange).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return [filesystem.exchange_queue_t(*binding) for binding in loads(content)]

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str | None) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table_lock():
            bindings = self.get_table(exchange)
            if binding not in bindings:
                _write_whole(self._table(exchange), dumps([binding, *bindings]))

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *args: Any, **kwargs: Any) -> None:
        super(filesystem.Channel, self)._delete(queue, exchange, routing_key, pattern, *args, **kwargs)
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        with self._table_lock():
            bindings = self.get_table(exchange)
            if binding in bindings:
                kept = [other for other in bindings if other != binding]
                _write_whole(self._table(exchange), dumps(kept))

    def _table(self, exchange: str) -> Path:
        return Path(self._exchange_file(exchange))  # type: ignore[attr-defined]

    @contextmanager
    def _table_lock(self) -> Iterator[None]:
        with (Path(self.control_folder) / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """The transport to name in a broker URL, once its alias is known to kombu."""

    Channel = Channel


def _write_whole(path: Path, content: str) -> None:
    draft = path.with_name(f".{uuid.uuid4().hex}")
    try:
        draft.write_text(content, encoding="utf-8")
        os.replace(draft, path)
    except OSError as exc:
        raise ChannelError(f"Cannot write {path.name} of the file broker") from exc
