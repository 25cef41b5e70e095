"""Both views of an image in the database, and which images still lack the second."""

from __future__ import annotations

from dataclasses import replace

from damageloop.bootstrap.database import SqlUnitOfWorkFactory
from damageloop.domain.geometry import Box
from damageloop.domain.image import Origin
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.split import Split
from tests.fakes.clock import FakeClock
from tests.fakes.photos import make_stored
from tests.integration.databases import BOTH

DATABASES = BOTH
DENT = Detection("dent", 0.8, Box(1.0, 2.0, 30.0, 40.0), (0.1, 0.8), 0.25)
SCRATCH = Detection("scratch", 0.4, Box(5.0, 2.0, 30.0, 40.0), (0.4, 0.2))


def test_views_are_filled_in_once_and_only_where_strategies_choose(
    units: SqlUnitOfWorkFactory, clock: FakeClock
) -> None:
    with units() as work:
        splits = [Split.TRAIN, Split.TRAIN, Split.VAL, Split.TRAIN, Split.TRAIN]
        ids = [
            work.images.add(make_stored(n), f"{n}.jpg", f"car{n}", split, Origin.IMPORT).id
            for n, split in enumerate(splits)
        ]
        work.images.exclude_leaks([ids[4]])
        views: dict[int, tuple[Detection, ...] | None] = dict.fromkeys(ids) | {ids[1]: ()}
        predictions = {i: Prediction(i, 7, (DENT,), 0.8, view) for i, view in views.items()}
        work.predictions.add_many(list(predictions.values()), clock.now())
        work.predictions.add_many([Prediction(ids[0], 8, (), 0.1)], clock.now())
        work.commit()
    with units() as work:
        # The second was seen mirrored, with nothing on it; the third is held out, the last left out.
        assert work.predictions.unmirrored(7) == [ids[0], ids[3]]
        work.predictions.add_mirrored(7, {ids[0]: (SCRATCH,), ids[1]: (SCRATCH,)})
        work.commit()
    with units(read_only=True) as work:
        assert work.predictions.unmirrored(7) == [ids[3]]
        assert work.predictions.unmirrored(8) == [ids[0]]
        expected = predictions | {ids[0]: replace(predictions[ids[0]], mirrored=(SCRATCH,))}
        assert work.predictions.of_version(7) == expected
