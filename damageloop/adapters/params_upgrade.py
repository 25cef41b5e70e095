"""Writes what a newer release has into a params.yaml that people edit: their values and comments stay, line by line.

Text and not YAML, so that nothing of theirs is written anew. A section or value that is missing comes from the
product's own file with its comments, behind what stands before it there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

_KEY = re.compile(r"^( *)([A-Za-z_]\w*):")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A key with what belongs to it: comments right above, its own line, and everything down to the next key."""

    name: str
    comments: list[str]
    line: str
    body: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [*self.comments, self.line, *self.body]


def merged(mine: str, product: str, is_section: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    """Return my text with all that the product's has and it lacks, and the names of that, as in `round.annotators`.

    Args:
        mine: Text of the live params.yaml.
        product: Text of the product's own.
        is_section: Tells of a name whether it is a section of fixed names, and no value that people make up.
    """
    added: list[str] = []
    lines = _merge(mine.splitlines(), product.splitlines(), "", is_section, added)
    return "\n".join(lines).rstrip("\n") + "\n", tuple(added)


def _merge(
    mine: list[str], product: list[str], path: str, is_section: Callable[[str], bool], added: list[str]
) -> list[str]:
    head, own = _parse(mine[: len(mine) - _n_blank_at_end(mine)])
    _, wanted = _parse(product[: len(product) - _n_blank_at_end(product)])
    step = _indent(own[0].line) - _indent(wanted[0].line) if own and wanted else 0
    place = 0
    for entry in wanted:
        name = f"{path}{entry.name}"
        found = next((number for number, each in enumerate(own) if each.name == entry.name), None)
        if found is None:
            if not path:
                _end_with_blank(own[:place])
            own.insert(place, _shifted(entry, step))
            added.append(name)
            place += 1
            continue
        place = found + 1
        if is_section(name) and _has_keys(own[found]) and _has_keys(entry):
            body = _merge(own[found].body, entry.body, f"{name}.", is_section, added)
            own[found] = replace(own[found], body=body)
    return [*head, *(line for entry in own for line in entry.lines()), *[""] * _n_blank_at_end(mine)]


def _parse(lines: Sequence[str]) -> tuple[list[str], list[_Entry]]:
    """Return what stands before the first key, and the keys of the outermost indentation."""
    indent = next((_indent(line) for line in lines if _KEY.match(line)), 0)
    head: list[str] = []
    entries: list[_Entry] = []
    for line in lines:
        match = _KEY.match(line)
        before = entries[-1].body if entries else head
        if match and len(match[1]) == indent:
            entries.append(_Entry(match[2], _take_comments(before, indent), line))
        else:
            before.append(line)
    return head, entries


def _take_comments(before: list[str], indent: int) -> list[str]:
    """Take from the end of `before` the comment lines that stand right above a key, at its indentation."""
    start = len(before)
    while start and before[start - 1].lstrip().startswith("#") and _indent(before[start - 1]) == indent:
        start -= 1
    taken = before[start:]
    del before[start:]
    return taken


def _end_with_blank(before: list[_Entry]) -> None:
    """Keep an empty line between sections."""
    if before and before[-1].lines()[-1].strip():
        before[-1].body.append("")


def _n_blank_at_end(lines: Sequence[str]) -> int:
    return next((n for n, line in enumerate(reversed(lines)) if line.strip()), len(lines))


def _shifted(entry: _Entry, step: int) -> _Entry:
    """Return the entry as it stands in a file that indents by more or fewer spaces."""

    def shift(line: str) -> str:
        return (" " * (_indent(line) + step) + line.lstrip()) if line.strip() else ""

    return _Entry(entry.name, [shift(c) for c in entry.comments], shift(entry.line), [shift(b) for b in entry.body])


def _has_keys(entry: _Entry) -> bool:
    """Tell whether the values stand on lines of their own, and not as `{a: 1}`."""
    first = next((line for line in entry.body if line.strip() and not line.lstrip().startswith("#")), "")
    return _KEY.match(first) is not None and _indent(first) > _indent(entry.line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
