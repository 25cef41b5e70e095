"""What params.yaml says of the classes after one was added, renamed or removed. Pure: nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from damageloop.domain.labels import FormerNames
from damageloop.errors import ConflictError, InvalidInputError, NotFoundError


class ChangeKind(StrEnum):
    """What is done to a class."""

    ADD = "add"
    RENAME = "rename"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One change that a person asks for; `to` is the new name of a renamed class."""

    kind: ChangeKind
    name: str
    to: str | None = None


@dataclass(frozen=True, slots=True)
class ClassList:
    """Section `labels` of params.yaml: the classes in the order of the model's columns, and what they were before."""

    classes: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    @property
    def former(self) -> FormerNames:
        return FormerNames(self.renamed, self.removed)


def changed(labels: ClassList, change: ClassChange) -> ClassList:
    """Return the classes after the change; the same ones when it was made already.

    Raises:
        NotFoundError: If there is no such class.
        ConflictError: If the change would make two classes one, or leave none.
        InvalidInputError: If a class shall get the name it has.
    """
    if change.kind is ChangeKind.ADD:
        return _added(labels, change.name)
    if change.kind is ChangeKind.REMOVE:
        return _removed(labels, change.name)
    if change.to is None or change.to == change.name:
        raise InvalidInputError(f"{change.name!r} has that name already: give another one.")
    return _renamed(labels, change.name, change.to)


def _added(labels: ClassList, name: str) -> ClassList:
    if name in labels.classes:
        return labels
    if name in labels.renamed:
        raise ConflictError(
            f"{name!r} is the former name of {labels.renamed[name]!r}, and older annotations mean that by it: take "
            "another name, or rename it back first."
        )
    removed = tuple(each for each in labels.removed if each != name)
    return replace(labels, classes=(*labels.classes, name), removed=removed)


def _renamed(labels: ClassList, name: str, to: str) -> ClassList:
    if labels.renamed.get(name) == to:
        return labels
    if name not in labels.classes:
        raise NotFoundError(f"There is no class {name!r}; there are {', '.join(labels.classes)}.")
    if to in labels.classes:
        raise ConflictError(f"There is a class {to!r} already, and two classes can't be made one.")
    if to in labels.removed:
        raise ConflictError(f"{to!r} is a class that was removed, with boxes of its own: take another name.")
    if labels.renamed.get(to, name) != name:
        raise ConflictError(f"{to!r} is the former name of {labels.renamed[to]!r}: take another name.")
    followed = {old: to if now == name else now for old, now in labels.renamed.items() if old != to}
    classes = tuple(to if each == name else each for each in labels.classes)
    return replace(labels, classes=classes, renamed={**followed, name: to})


def _removed(labels: ClassList, name: str) -> ClassList:
    if name in labels.removed:
        return labels
    if name not in labels.classes:
        raise NotFoundError(f"There is no class {name!r}; there are {', '.join(labels.classes)}.")
    if len(labels.classes) == 1:
        raise ConflictError(f"{name!r} is the only class; add another one first.")
    # Older annotations call it by these too.
    past = [old for old, now in labels.renamed.items() if now == name]
    return ClassList(
        classes=tuple(each for each in labels.classes if each != name),
        renamed={old: now for old, now in labels.renamed.items() if now != name},
        removed=(*labels.removed, *past, name),
    )
