"""Photos wait here for the threads that look at them: fairly, no longer than a deadline, and in bounded memory.

A request is taken when what waits before it and its own photos can be done before the deadline; else it is refused at
once, with the seconds to wait. Measured, see docs/guides/serving.md: a few threads, each doing one photo from its bytes
to its answer, beat batches and a thread for each step.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from damageloop.errors import BusyError, UnavailableError

# Of a new measurement in the mean: what the last ten photos took counts most.
_WEIGHT = 0.1
# One photo counts as no more than so many of the mean: one that hangs in its decoder must not have others refused.
_MOST_TIMES = 4.0
# Until something was measured.
_FIRST_GUESS_S = 0.1
# A request's photos stand in the queue this many times further apart than they are answered: who sends one photo then
# waits for few of one who sends sixteen, and those sixteen are not starved by ever new single ones either.
_SPREAD = 2.0

Look = Callable[[int], Any]
Done = Callable[[list[Any], Exception | None], None]


@dataclass(eq=False, slots=True)
class QueuedRequest:
    """Photos of one request.

    Attributes:
        deadline: By the queue's clock.
        look: Answers the photo of a number; None once the request is over, so that its photos can go.
        done: Called once, by the thread that ended it, and must not raise.
    """

    n_photos: int
    deadline: float
    look: Look | None
    done: Done
    results: list[Any] = field(default_factory=list)
    n_begun: int = 0
    n_finished: int = 0
    is_over: bool = False


class PhotoQueue:
    """Safe to share between threads. Until `start` was called each request is done by who brings it.

    Args:
        deadline_s: What a request may take, from its coming to its answer.
        max_held_bytes: What bodies and photos of all requests may hold before they are decoded.
        clock: Seconds that only rise.
    """

    def __init__(self, deadline_s: float, max_held_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline_s = deadline_s
        self._max_held_bytes = max_held_bytes
        self._clock = clock
        self._seconds_per_photo = _FIRST_GUESS_S
        self._is_seeded = False
        self._heap: list[tuple[float, int, QueuedRequest, int]] = []
        self._n_queued = 0
        self._n_waiting = 0
        self._n_in_work = 0
        self._held_bytes = 0
        self._changed = threading.Condition(threading.Lock())
        self._is_over = False
        self._threads: list[threading.Thread] = []

    @property
    def n_unfinished(self) -> int:
        """Return how many photos wait or are in work."""
        return self._n_waiting + self._n_in_work

    @property
    def n_threads(self) -> int:
        """Return how many threads there are: none before `start`."""
        return len(self._threads)

    @property
    def held_bytes(self) -> int:
        """Return what bodies of requests hold at this moment."""
        return self._held_bytes

    def start(self, n_threads: int, seconds_per_photo: float | None = None) -> None:
        """Have at least so many threads; call it again when a model wants more.

        `seconds_per_photo` is what a warm-up measured; the first one counts, until photos of requests were measured.
        """
        with self._changed:
            if seconds_per_photo is not None and not self._is_seeded:
                self._is_seeded = True
                self._seconds_per_photo = seconds_per_photo
            self._is_over = False
            while len(self._threads) < n_threads:
                thread = threading.Thread(target=self._work, name=f"photos-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Refuse what waits, let what is in work end, and end the threads."""
        with self._changed:
            self._is_over = True
            left = {entry[2] for entry in self._heap if not entry[2].is_over}
            self._changed.notify_all()
        for request in left:
            self._end(request, UnavailableError("The server is being stopped."))
        for thread in self._threads:
            thread.join()
        self._threads = []

    def check(self, n_photos: int = 1) -> None:
        """Raise BusyError when so many photos could not be answered in time."""
        wait_s = self._wait_s(self.n_unfinished)
        if self.n_unfinished and wait_s + self._wait_s(n_photos) > self._deadline_s:
            raise BusyError(max(1, math.ceil(wait_s)))

    @contextmanager
    def room_for(self, n_bytes: int) -> Iterator[None]:
        """Hold room for a body while it is read and answered. Raises BusyError when there is none."""
        with self._changed:
            if self._held_bytes and self._held_bytes + n_bytes > self._max_held_bytes:
                raise BusyError(max(1, math.ceil(self._wait_s(self.n_unfinished))))
            self._held_bytes += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._held_bytes -= n_bytes

    def submit(self, look: Look, n_photos: int, done: Done) -> QueuedRequest:
        """Queue the photos of a request; `done` gets their results in order, or why there are none.

        Raises:
            BusyError: If they could not be answered in time.
        """
        self.check(n_photos)
        now = self._clock()
        # Only a request that found nothing before it may be larger than the deadline: else it could never be answered.
        allowed_s = max(self._deadline_s, _SPREAD * self._wait_s(n_photos))
        request = QueuedRequest(n_photos, now + allowed_s, look, done, [None] * n_photos)
        if self._threads:
            self._enqueue(request, now)
        else:
            self._do_all(request)
        return request

    def left_s(self, request: QueuedRequest) -> float:
        """Return the seconds until the request's deadline, never below 0."""
        return max(0.0, request.deadline - self._clock())

    def cancel(self, request: QueuedRequest) -> None:
        """Drop the photos that have not begun; `done` is not called any more. Nothing happens to what is over."""
        with self._changed:
            self._forget(request)

    def expire(self, request: QueuedRequest) -> None:
        """End a request whose deadline has come; one whose photos are all in work is let to its end."""
        if request.n_begun < request.n_photos:
            self._end(request, BusyError(max(1, math.ceil(self._wait_s(self.n_unfinished)))))

    def _wait_s(self, n_photos: int) -> float:
        return n_photos * self._seconds_per_photo / max(1, len(self._threads))

    def _enqueue(self, request: QueuedRequest, now: float) -> None:
        apart = _SPREAD * self._wait_s(1)
        with self._changed:
            for number in range(request.n_photos):
                self._n_queued += 1
                heapq.heappush(self._heap, (now + number * apart, self._n_queued, request, number))
            self._n_waiting += request.n_photos
            self._changed.notify(request.n_photos)

    def _do_all(self, request: QueuedRequest) -> None:
        self._n_waiting += request.n_photos
        for number in range(request.n_photos):
            self._begin(request)
            self._look(request, number)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            request, number = taken
            if self._clock() > request.deadline:
                self.expire(request)
            if self._may_begin(request):
                self._look(request, number)
            # Or this thread would hold the photos of its last request until the next one comes.
            del request, taken

    def _take(self) -> tuple[QueuedRequest, int] | None:
        with self._changed:
            while True:
                while not self._heap and not self._is_over:
                    self._changed.wait()
                if not self._heap:
                    return None
                _, _, request, number = heapq.heappop(self._heap)
                if not request.is_over:
                    return request, number

    def _may_begin(self, request: QueuedRequest) -> bool:
        with self._changed:
            if request.is_over:
                return False
            self._begin(request)
            return True

    def _begin(self, request: QueuedRequest) -> None:
        request.n_begun += 1
        self._n_waiting -= 1
        self._n_in_work += 1

    def _look(self, request: QueuedRequest, number: int) -> None:
        began, look = self._clock(), request.look
        error: Exception | None = None
        try:
            # None: its client went away just now.
            request.results[number] = look(number) if look else None
        except Exception as exc:  # noqa: BLE001 - whoever sent the photo gets it
            error = exc
        with self._changed:
            self._n_in_work -= 1
            self._measure(self._clock() - began)
            request.n_finished += 1
            is_last = request.n_finished == request.n_photos
        if error is not None or is_last:
            self._end(request, error)

    def _measure(self, seconds: float) -> None:
        self._is_seeded = True
        mean = self._seconds_per_photo
        self._seconds_per_photo += _WEIGHT * (min(seconds, _MOST_TIMES * mean) - mean)

    def _end(self, request: QueuedRequest, error: Exception | None) -> None:
        with self._changed:
            if not self._forget(request):
                return
        request.done(request.results, error)

    def _forget(self, request: QueuedRequest) -> bool:
        """Tell whether the request was not over before; from now on it is, and holds no photo."""
        if request.is_over:
            return False
        request.is_over = True
        request.look = None
        self._n_waiting -= request.n_photos - request.n_begun
        return True
