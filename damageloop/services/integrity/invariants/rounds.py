"""Rounds: what they hold comes from the right split, and no image is in two of them."""

from __future__ import annotations

from collections.abc import Iterator

from damageloop.domain.round import ItemState, RoundState, Share
from damageloop.domain.split import Split
from damageloop.ports.persistence import UnitOfWork


def chosen_from_train(work: UnitOfWork) -> Iterator[str]:
    """Yield items of the wrong split, and those of closed rounds that were never sent."""
    for opened in work.rounds.all():
        items = work.rounds.items(opened.id)
        # Also of images that have left their split since.
        splits = {image.id: image.split for image in work.images.get_many([item.image_id for item in items])}
        for item in items:
            is_train = splits[item.image_id] is Split.TRAIN
            if is_train == (item.share is Share.AUDITED):
                yield f"round {opened.id}: image {item.image_id} is {item.share.value} but of another split"
            if opened.state is RoundState.CLOSED and item.state is ItemState.PENDING:
                yield f"round {opened.id} is closed, image {item.image_id} was never sent"


def held_once(work: UnitOfWork) -> Iterator[str]:
    """Yield images that two unclosed rounds hold."""
    holder: dict[int, int] = {}
    for opened in work.rounds.unclosed():
        for item in work.rounds.items(opened.id):
            if item.state is ItemState.WITHDRAWN:
                continue
            first = holder.setdefault(item.image_id, opened.id)
            if first != opened.id:
                yield f"image {item.image_id} is in rounds {first} and {opened.id}"
