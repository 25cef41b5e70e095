"""The largest set of detections of which no two are the same damage: how many damages a car has at least.

Why this and no clustering: it can only grow. One more vertex never makes the largest independent set of a graph
smaller, for every set that was independent still is; one more edge never makes it larger. Clusters have no such law: a
new detection can join two of them into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_

# Random graphs of this size take up to a fifth of a second on one core; all of a larger tangle count, which is never
# less.
MAX_COMPONENT = 64


def largest(n_vertices: int, edges: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Return the vertices, rising, of a largest independent set; of several always the same one.

    Of 3 vertices with edges (0, 1) and (0, 2) it is (1, 2). A connected part of more than `MAX_COMPONENT` vertices is
    returned whole.
    """
    neighbours = [0] * n_vertices
    for a, b in edges:
        neighbours[a] |= 1 << b
        neighbours[b] |= 1 << a
    chosen, search = 0, _Search(neighbours)
    for part in _parts((1 << n_vertices) - 1, neighbours):
        chosen |= part if part.bit_count() > MAX_COMPONENT else search.best(part)
    return tuple(_members(chosen))


class _Search:
    """Branches on the vertex with the most neighbours; sets of vertices are bits of a number, each is solved once."""

    def __init__(self, neighbours: Sequence[int]) -> None:
        self._neighbours = neighbours
        self._known: dict[int, int] = {}

    def best(self, part: int) -> int:
        """Return a largest independent set within a connected part."""
        found = self._known.get(part)
        if found is None:
            found = self._known[part] = self._solve(part)
        return found

    def _solve(self, part: int) -> int:
        degrees = {v: (self._neighbours[v] & part).bit_count() for v in _members(part)}
        simple = next((v for v in degrees if self._is_simple(v, part)), None)
        if simple is not None:
            # Its neighbours know each other: at most one of this crowd can be taken, and it excludes the fewest.
            return 1 << simple | self._rest(part & ~self._neighbours[simple] & ~(1 << simple))
        vertex = max(degrees, key=lambda v: (degrees[v], -v))
        taken = 1 << vertex | self._rest(part & ~self._neighbours[vertex] & ~(1 << vertex))
        left = self._rest(part & ~(1 << vertex))
        return taken if taken.bit_count() >= left.bit_count() else left

    def _is_simple(self, vertex: int, part: int) -> bool:
        crowd = self._neighbours[vertex] & part
        return all((self._neighbours[v] | 1 << v) & crowd == crowd for v in _members(crowd))

    def _rest(self, vertices: int) -> int:
        return reduce(or_, (self.best(part) for part in _parts(vertices, self._neighbours)), 0)


def _parts(vertices: int, neighbours: Sequence[int]) -> Iterator[int]:
    """Yield the connected parts of the graph on these vertices."""
    while vertices:
        part = frontier = vertices & -vertices
        while frontier:
            reached = reduce(or_, (neighbours[v] for v in _members(frontier)))
            frontier = reached & vertices & ~part
            part |= frontier
        yield part
        vertices &= ~part


def _members(vertices: int) -> Iterator[int]:
    while vertices:
        lowest = vertices & -vertices
        yield lowest.bit_length() - 1
        vertices ^= lowest
