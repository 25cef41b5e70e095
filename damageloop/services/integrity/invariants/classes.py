"""The tables that find images by class agree with the annotations and predictions that they are made of."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.ports.persistence import UnitOfWork

# Of images that are looked at together.
_AT_ONCE = 2000


def classes_agree(work: UnitOfWork) -> Iterator[str]:
    """Yield where the tables of drawn and predicted classes say something else than the rows."""
    last: int | None = 0
    while last is not None:
        wrong, last = work.gallery.wrong_classes(last, _AT_ONCE)
        yield from wrong
