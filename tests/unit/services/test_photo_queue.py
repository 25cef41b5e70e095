"""Photos are answered fairly, before their deadline or not at all, and in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damageloop.errors import BusyError, UnavailableError
from damageloop.services.serving.photo_queue import PhotoQueue

LONG_S = 5.0


@dataclass
class Gate:
    """A clock that stands until it is moved, and photos that wait until they are let through."""

    seconds: float = 0.0
    looked: list[tuple[str, int]] = field(default_factory=list)
    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def clock(self) -> float:
        return self.seconds

    def look(self, name: str) -> Callable[[int], str]:
        def one(number: int) -> str:
            self.looked.append((name, number))
            self.begun.release()
            assert self.permits.acquire(timeout=LONG_S)
            return f"{name}{number}"

        return one

    def open(self, n_photos: int = 1000) -> None:
        self.permits.release(n_photos)

    def wait_for_begin(self) -> None:
        assert self.begun.acquire(timeout=LONG_S)


@dataclass
class Ending:
    """What became of a request."""

    results: list[Any] | None = None
    error: Exception | None = None
    n_calls: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, results: list[Any], error: Exception | None) -> None:
        self.results, self.error = results, error
        self.n_calls += 1
        self.is_over.set()

    def wait(self) -> Ending:
        assert self.is_over.wait(LONG_S)
        return self


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def queue(gate: Gate) -> Iterator[PhotoQueue]:
    made = PhotoQueue(deadline_s=10.0, max_held_bytes=100, clock=gate.clock)
    yield made
    gate.open()
    made.close()


def started(queue: PhotoQueue, gate: Gate, seconds_per_photo: float = 1.0) -> Ending:
    """Start one thread and keep it busy with a photo of its own."""
    queue.start(1, seconds_per_photo)
    first = Ending()
    queue.submit(gate.look("first"), 1, first)
    gate.wait_for_begin()
    return first


def test_results_come_in_the_order_of_the_photos(queue: PhotoQueue, gate: Gate) -> None:
    queue.start(3)
    ending = Ending()
    gate.open()
    queue.submit(gate.look("a"), 5, ending)
    assert ending.wait().results == ["a0", "a1", "a2", "a3", "a4"]
    assert (ending.error, ending.n_calls, queue.n_unfinished) == (None, 1, 0)


def test_without_threads_a_request_is_done_by_who_brings_it(queue: PhotoQueue) -> None:
    ending = Ending()
    queue.submit(lambda number: (number, threading.get_ident()), 2, ending)
    assert ending.results == [(0, threading.get_ident()), (1, threading.get_ident())]


def test_one_photo_waits_for_few_of_a_request_with_many(queue: PhotoQueue, gate: Gate) -> None:
    started(queue, gate, seconds_per_photo=0.1)
    queue.submit(gate.look("many"), 16, Ending())
    gate.seconds = 0.25
    single = Ending()
    queue.submit(gate.look("single"), 1, single)
    gate.open()
    single.wait()
    # The many stand 0.2 s apart, so those of 0.0 and 0.2 come first.
    assert gate.looked[: gate.looked.index(("single", 0))] == [("first", 0), ("many", 0), ("many", 1)]


def test_a_request_with_many_is_not_starved_by_ever_new_single_photos(queue: PhotoQueue, gate: Gate) -> None:
    started(queue, gate, seconds_per_photo=0.1)
    many = Ending()
    queue.submit(gate.look("many"), 4, many)
    for number in range(20):
        gate.seconds = 0.05 * number
        queue.submit(gate.look(f"single-{number}"), 1, Ending())
    gate.open()
    many.wait()
    last = gate.looked.index(("many", 3))
    assert last < len(gate.looked)
    assert sum(name.startswith("single") for name, _ in gate.looked[:last]) <= 13


def test_what_cannot_be_done_in_time_is_refused_at_once_with_the_seconds_to_wait(queue: PhotoQueue, gate: Gate) -> None:
    started(queue, gate, seconds_per_photo=2.0)
    queue.submit(gate.look("b"), 3, Ending())  # with the first that is 8 s
    queue.check(1)
    with pytest.raises(BusyError) as refused:
        queue.submit(gate.look("c"), 2, Ending())
    assert refused.value.retry_after_s == 8
    assert ("c", 0) not in gate.looked


def test_a_second_thread_halves_the_prediction(queue: PhotoQueue, gate: Gate) -> None:
    started(queue, gate, seconds_per_photo=2.0)
    queue.start(2)
    queue.submit(gate.look("b"), 8, Ending())  # 9 photos of 2 s by two threads: 9 s, and one more is 10 s
    queue.check(1)
    with pytest.raises(BusyError):
        queue.check(2)


def test_a_request_larger_than_the_deadline_is_taken_when_nothing_is_before_it(queue: PhotoQueue, gate: Gate) -> None:
    queue.start(1, seconds_per_photo=5.0)
    ending = Ending()
    request = queue.submit(gate.look("large"), 16, ending)
    assert queue.left_s(request) == 160.0
    gate.open()
    assert len(ending.wait().results or []) == 16


def test_what_waits_past_its_deadline_is_dropped_without_being_looked_at(queue: PhotoQueue, gate: Gate) -> None:
    started(queue, gate)
    late = Ending()
    queue.submit(gate.look("late"), 1, late)
    gate.seconds = 10.5
    gate.open()
    assert isinstance(late.wait().error, BusyError)
    assert [name for name, _ in gate.looked] == ["first"]


def test_expiry_ends_a_request_that_waits_and_leaves_one_that_is_in_work(queue: PhotoQueue, gate: Gate) -> None:
    queue.start(1)
    working, waiting = Ending(), Ending()
    in_work = queue.submit(gate.look("a"), 1, working)
    gate.wait_for_begin()
    in_queue = queue.submit(gate.look("b"), 1, waiting)
    queue.expire(in_work)
    queue.expire(in_queue)
    assert isinstance(waiting.error, BusyError)
    assert not working.is_over.is_set()
    gate.open()
    assert working.wait().results == ["a0"]


def test_cancelled_photos_are_dropped_and_no_longer_counted(queue: PhotoQueue, gate: Gate) -> None:
    first = started(queue, gate)
    gone, after = Ending(), Ending()
    request = queue.submit(gate.look("gone"), 4, gone)
    assert queue.n_unfinished == 5
    queue.cancel(request)
    queue.cancel(request)
    assert (queue.n_unfinished, request.look) == (1, None)
    queue.submit(gate.look("after"), 1, after)
    gate.open()
    first.wait(), after.wait()
    assert (gate.looked, gone.n_calls) == ([("first", 0), ("after", 0)], 0)


def test_an_error_ends_its_request_once_and_the_others_go_on(queue: PhotoQueue, gate: Gate) -> None:
    def look(number: int) -> int:
        if number < 2:
            raise ZeroDivisionError
        return number

    queue.start(2)
    broken, sound = Ending(), Ending()
    queue.submit(look, 3, broken)
    gate.open()
    queue.submit(gate.look("sound"), 2, sound)
    assert isinstance(broken.wait().error, ZeroDivisionError)
    assert sound.wait().results == ["sound0", "sound1"]
    assert broken.n_calls == 1


def test_the_mean_follows_what_photos_take(queue: PhotoQueue, gate: Gate) -> None:
    def slow(_number: int) -> None:
        gate.seconds += 3.0

    ending = Ending()
    queue.start(1, seconds_per_photo=1.0)
    queue.submit(slow, 1, ending)
    ending.wait()
    # 0.9 of 1 s and 0.1 of 3 s: one photo in work and eight more would take 10.8 s.
    queue.submit(gate.look("a"), 1, Ending())
    gate.wait_for_begin()
    queue.check(7)
    with pytest.raises(BusyError):
        queue.check(8)


def test_one_photo_that_hangs_does_not_have_others_refused(queue: PhotoQueue, gate: Gate) -> None:
    def hanging(_number: int) -> None:
        gate.seconds += 20.0

    ending = Ending()
    queue.start(1, seconds_per_photo=1.0)
    queue.submit(hanging, 1, ending)
    ending.wait()
    # It counts as 4 s: 0.9 of 1 s and 0.1 of 4 s are 1.3 s, so one in work and six more take 9.1 s.
    queue.submit(gate.look("a"), 1, Ending())
    gate.wait_for_begin()
    queue.check(6)
    with pytest.raises(BusyError):
        queue.check(7)


def test_bodies_hold_no_more_than_the_limit_together(queue: PhotoQueue) -> None:
    with queue.room_for(60):
        with queue.room_for(40):
            assert queue.held_bytes == 100
            with pytest.raises(BusyError), queue.room_for(1):
                pass
        with queue.room_for(40):
            pass
    # Alone, a body may be as large as its route allows.
    with queue.room_for(101):
        pass
    assert queue.held_bytes == 0


def test_closing_refuses_what_waits_and_lets_what_is_in_work_end(queue: PhotoQueue, gate: Gate) -> None:
    first = started(queue, gate)
    waiting = Ending()
    queue.submit(gate.look("b"), 1, waiting)
    closing = threading.Thread(target=queue.close)
    closing.start()
    assert isinstance(waiting.wait().error, UnavailableError)
    gate.open()
    closing.join(LONG_S)
    assert first.wait().results == ["first0"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12), st.integers(1, 3))
def test_every_request_ends_once_and_nothing_is_left(requests: list[tuple[int, bool]], n_threads: int) -> None:
    queue = PhotoQueue(deadline_s=1000.0, max_held_bytes=1)
    queue.start(n_threads, 0.001)
    endings = [Ending() for _ in requests]
    for (n_photos, is_cancelled), ending in zip(requests, endings, strict=True):
        request = queue.submit(lambda number: number, n_photos, ending)
        if is_cancelled:
            queue.cancel(request)
    for (n_photos, is_cancelled), ending in zip(requests, endings, strict=True):
        if not is_cancelled:
            assert ending.wait().results == list(range(n_photos))
    queue.close()
    assert (queue.n_unfinished, all(ending.n_calls <= 1 for ending in endings)) == (0, True)
