"""The way of a request for a prediction through a server: admitted or refused at once, queued, answered, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

from damageloop.services.serving.answer_damage import AnswerDamage
from damageloop.services.serving.photo_queue import PhotoQueue

# Ends, with an error, when the client has gone.
Gone = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the routes of predictions and valuations call, from one event loop."""

    answer_damage: AnswerDamage
    queue: PhotoQueue

    def start(self) -> None:
        """Begin to answer by threads of the queue."""
        self.queue.start(1)

    def close(self) -> None:
        """End the threads, once what they have in work is done."""
        self.queue.close()

    def admit(self, n_bytes: int) -> AbstractContextManager[None]:
        """Check that a request can be answered in time, before its body is read; hold room for its bytes.

        Raises:
            NoChampionError: If no model serves.
            BusyError: If one more photo could not be answered in time, or there is no room for the body.
        """
        self.answer_damage.champion.current()
        self.queue.check()
        return self.queue.room_for(n_bytes)

    async def answer(
        self,
        files: Sequence[tuple[str, bytes]],
        vehicle_id: str | None,
        api_key_id: int | None,
        gone: Gone | None = None,
        is_durable: bool = False,
    ) -> dict[str, Any]:
        """Return the answer to photos of one car, all by one model version; see `AnswerDamage`.

        Args:
            files: (filename, content) of each photo.
            gone: Awaited beside; when it raises, photos that have not begun are dropped and its error is raised.
            is_durable: Return only when the evidence is in the database.

        Raises:
            InvalidInputError: If there is no file, or more than the limit.
            NoReadableImageError: If not one file can be decoded.
            NoChampionError: If no model serves.
            BusyError: If they can't be answered before the deadline.
        """
        self.answer_damage.check_number(len(files))
        content = await self._answered(_Asked(self.answer_damage, files, vehicle_id, api_key_id), gone)
        if is_durable:
            await asyncio.to_thread(self.answer_damage.evidence.wait_until_kept, content["request_id"])
        return content

    async def _answered(self, asked: _Asked, gone: Gone | None) -> dict[str, Any]:
        if self.queue.n_threads:
            serving = asked.serving
            self.queue.start(serving.detector.n_parallel, serving.seconds_per_photo)
        request = self.queue.submit(asked.look, len(asked.files), asked.done)
        timer = asked.loop.call_later(self.queue.left_s(request), self.queue.expire, request)
        watch = asyncio.ensure_future(gone()) if gone and not asked.answered.done() else None
        if watch is not None:
            watch.add_done_callback(asked.note_gone)
        try:
            return await asked.answered
        finally:
            timer.cancel()
            self.queue.cancel(request)
            if watch is not None:
                watch.cancel()


class _Asked:
    """One request: what its threads need, and where its answer arrives."""

    def __init__(
        self,
        answer_damage: AnswerDamage,
        files: Sequence[tuple[str, bytes]],
        vehicle_id: str | None,
        api_key_id: int | None,
    ) -> None:
        self.files = files
        # One reference for all photos: a promotion in between changes nothing for this request.
        self.serving = answer_damage.champion.current()
        self.loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[dict[str, Any]] = self.loop.create_future()
        self._answer_damage = answer_damage
        self._vehicle_id = vehicle_id
        self._api_key_id = api_key_id

    def look(self, number: int) -> Any:
        """Answer one photo; called by a thread."""
        return self._answer_damage.look_at(self.serving, *self.files[number])

    def done(self, results: list[Any], error: Exception | None) -> None:
        """Make the answer and hand it to the event loop; called once, by the thread that had the last photo."""
        content: dict[str, Any] | None = None
        if error is None:
            try:
                content = self._answer_damage.sum_up(self.serving, results, self._vehicle_id, self._api_key_id)
            except Exception as exc:  # noqa: BLE001 - whoever asked gets it
                error = exc
        # The loop is closed when the server did not wait for its requests: then nobody listens.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._settle, content, error)

    def note_gone(self, watch: asyncio.Future[None]) -> None:
        """Give up when the client went away."""
        error = None if watch.cancelled() else watch.exception()
        if isinstance(error, Exception):
            self._settle(None, error)

    def _settle(self, content: dict[str, Any] | None, error: Exception | None) -> None:
        if self.answered.done():
            return
        if error is not None:
            self.answered.set_exception(error)
        elif content is not None:
            self.answered.set_result(content)
