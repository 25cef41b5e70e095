"""Work on many items shard by shard: several items at a time, and a shard is stored while the next is in work."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")
Seen = TypeVar("Seen")
# One in work, and one for threads that are done with it: nobody waits at the end of a shard.
_SHARDS_AHEAD = 2


class Kept(NamedTuple):
    """What came of a shard that is stored: how many items, and how many of them gave nothing."""

    n_items: int
    n_failed: int


def in_shards(
    items: Sequence[Item],
    size: int,
    n_parallel: int,
    see: Callable[[Item], Seen | None],
    keep: Callable[[Mapping[Item, Seen]], None],
) -> Generator[Kept]:
    """Look at all items in shards, in order, and yield each shard when it is stored.

    Shards are stored one after another in their order, each with its items in theirs; one of which nothing was seen
    is not stored. At most two shards are held in memory beside the one that is being stored. Whoever stops iterating
    closes the iterator: what runs ends, and no further shard is stored.

    Args:
        items: Distinct ones.
        size: Of a shard.
        n_parallel: How many items are in work at a time, each in a thread of its own.
        see: Returns what is to be stored of an item, None where there is nothing. What it raises ends everything.
        keep: Stores a shard. Never called from two threads at once.
    """
    lookers = ThreadPoolExecutor(n_parallel, thread_name_prefix="look")
    keeper = ThreadPoolExecutor(1, thread_name_prefix="keep")
    try:
        yield from _turns(items, size, see, keep, lookers, keeper)
    finally:
        lookers.shutdown(cancel_futures=True)
        # What was handed over is stored: there is no reason to do it again.
        keeper.shutdown()


def _turns(
    items: Sequence[Item],
    size: int,
    see: Callable[[Item], Seen | None],
    keep: Callable[[Mapping[Item, Seen]], None],
    lookers: ThreadPoolExecutor,
    keeper: ThreadPoolExecutor,
) -> Iterator[Kept]:
    def store(shard: Sequence[Item], found: Sequence[Seen | None]) -> Kept:
        seen = {item: one for item, one in zip(shard, found, strict=True) if one is not None}
        if seen:
            keep(seen)
        return Kept(len(shard), len(shard) - len(seen))

    starts = iter(range(0, len(items), size))
    ahead: deque[tuple[Sequence[Item], list[Future[Seen | None]]]] = deque()
    storing: Future[Kept] | None = None
    while True:
        while len(ahead) < _SHARDS_AHEAD and (start := next(starts, None)) is not None:
            shard = items[start : start + size]
            ahead.append((shard, [lookers.submit(see, item) for item in shard]))
        if not ahead:
            break
        shard, looks = ahead[0]
        found = [look.result() for look in looks]
        ahead.popleft()
        if storing is not None:
            yield storing.result()
        storing = keeper.submit(store, shard, found)
    if storing is not None:
        yield storing.result()
