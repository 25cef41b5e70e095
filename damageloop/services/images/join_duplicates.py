"""Join the groups of near-duplicate photos, and keep what that would leak out of the lower split."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.groups import LOOSE_HASH_BITS, Whitening, hash_array, is_telling, joined, kept_split, near_pairs
from damageloop.domain.image import ImageStatus
from damageloop.domain.split import Split
from damageloop.params import Params
from damageloop.ports import FeatureStore, Handler, JobContext, Progress
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory

logger = logging.getLogger(__name__)

# The highest number of an image that was compared with those before it.
COMPARED = "duplicates.compared_up_to"
# Looked at again each time: an import that began earlier may have been committed later, under lower numbers.
OVERLAP = 1000
# Images compared in one transaction: at a million known images some six million pairs are alike in the loose sense.
SLICE = 20_000
# Rows that the whitening is fitted on: enough for its 64 directions, few enough to be read each time.
REFERENCE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Join:
    """What joining groups gave: their common key, the split that stays, and the images that left."""

    group: str
    split: Split
    excluded: tuple[int, ...]


def join_groups(work: UnitOfWork, groups: Collection[str]) -> Join:
    """Give all images of the groups the key of the oldest one; no image moves to another split.

    Where the groups lie in different splits, active images of the lower ones (test > val > train) are marked
    `excluded_leak`: snapshots, rounds and scoring leave them out. The caller commits.
    """
    images = work.images.of_groups(sorted(groups))
    oldest = images[0].group
    active = [image for image in images if image.status is ImageStatus.ACTIVE]
    split = kept_split([image.split for image in active or images])
    leaking = tuple(image.id for image in active if image.split is not split)
    work.images.set_group([image.id for image in images if image.group != oldest], oldest)
    if leaking:
        work.images.exclude_leaks(leaking)
        logger.warning(
            "near-duplicates join %s: %s images leave snapshots, rounds and scoring, since the group is in %s",
            ", ".join(sorted(groups)),
            len(leaking),
            split.value,
        )
    return Join(oldest, split, leaking)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a comparison did: groups that went into others, and images that left their split."""

    groups: int = 0
    excluded: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Looks:
    """What two photos look like to the network of one source, as a second witness beside their hashes."""

    features: FeatureStore
    source: str
    known: NDArray[np.int64]
    whitening: Whitening

    @classmethod
    def of(cls, features: FeatureStore, source: str) -> _Looks | None:
        """Return the witness; None where too few images have embeddings to say what all photos have in common."""
        known = features.known_ids(source)
        places = np.linspace(0, len(known) - 1, min(len(known), REFERENCE_ROWS)).astype(np.int64)
        whitening = Whitening.fitted(features.read(source, known[places].tolist()))
        return cls(features, source, known, whitening) if whitening else None

    def cosines(self, id_pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the cosine of each pair, shape (n_pairs,); -1 where an image has no embedding."""
        found = np.full(len(id_pairs), -1.0)
        has_both = np.isin(id_pairs, self.known).all(axis=1)
        if has_both.any():
            wanted, places = np.unique(id_pairs[has_both], return_inverse=True)
            directions = self.whitening.directions(self.features.read(self.source, wanted.tolist()))
            left, right = places.reshape(-1, 2).T
            found[has_both] = np.einsum("ij,ij->i", directions[left], directions[right])
        return found


@dataclass(frozen=True, slots=True)
class JoinDuplicates:
    """Compares images that have come since the last time with all before them; doing it twice changes nothing.

    Two photos are near-duplicates when their hashes differ in few bits (`ingest.duplicate_hash_bits`), or in up to 16
    while their whitened embeddings point the same way (`ingest.duplicate_cosine`). Neither the raw cosine nor a loose
    hash is enough alone: both join different cars.
    """

    units: UnitOfWorkFactory
    features: FeatureStore
    params: Params

    def __call__(self, source: str, progress: Progress = lambda share, message: None) -> Joined:
        """Compare by hashes and the embeddings of `source`; images that have none are compared by hash alone."""
        with self.units(read_only=True) as work:
            mark = int(work.facts.get(COMPARED) or 0)
            known = work.images.hashes_after(0)
        telling = [item for item in known if is_telling(item.perceptual_hash, item.quality)]
        hashes = hash_array([item.perceptual_hash for item in telling])
        ids = np.array([item.image_id for item in telling], dtype=np.int64)
        first = int((ids <= mark - OVERLAP).sum())
        looks = _Looks.of(self.features, source) if first < len(ids) else None
        total = Joined()
        for start in range(first, len(ids), SLICE):
            stop = min(start + SLICE, len(ids))
            done = self._join(self._pairs(ids, hashes, slice(start, stop), looks), int(ids[stop - 1]))
            total = Joined(total.groups + done.groups, total.excluded + done.excluded)
            progress(stop / len(ids), f"{stop} of {len(ids)} images compared with each other")
        return total

    def _pairs(
        self, ids: NDArray[np.int64], hashes: NDArray[np.uint64], part: slice, looks: _Looks | None
    ) -> list[tuple[int, int]]:
        """Return pairs of image ids of which the later one is in the part."""
        found = near_pairs(hashes[part], hashes[: part.stop], LOOSE_HASH_BITS) + np.array([part.start, 0])
        found = found[found[:, 1] < found[:, 0]]
        distances = np.bitwise_count(hashes[found[:, 0]] ^ hashes[found[:, 1]])
        is_duplicate = distances <= self.params.ingest.duplicate_hash_bits
        if looks is not None:
            cosines = looks.cosines(ids[found[~is_duplicate]])
            is_duplicate[~is_duplicate] = cosines >= self.params.ingest.duplicate_cosine
        return [(int(ids[first]), int(ids[second])) for first, second in found[is_duplicate]]

    def _join(self, pairs: Sequence[tuple[int, int]], compared_up_to: int) -> Joined:
        with self.units() as work:
            joins = [join_groups(work, groups) for groups in _groups_to_join(work, pairs)]
            work.facts.set(COMPARED, max(compared_up_to, int(work.facts.get(COMPARED) or 0)))
            work.commit()
        return Joined(len(joins), sum(len(join.excluded) for join in joins))


@dataclass(frozen=True, slots=True)
class JoinAfter:
    """The handler of a scoring that then compares what was scored; a second run does what the first left."""

    score: Handler
    join_duplicates: JoinDuplicates

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Score with `model_version`, then join near-duplicates by its embeddings."""
        result = self.score(inputs, context)
        joined = self.join_duplicates(str(inputs["model_version"]), context.progress)
        return {**result, "joined_groups": joined.groups, "excluded_images": joined.excluded}


def _groups_to_join(work: UnitOfWork, pairs: Iterable[tuple[int, int]]) -> list[set[str]]:
    """Return sets of groups that the pairs connect, each of two at least."""
    pairs = list(pairs)
    images = work.images.get_many(sorted({image_id for pair in pairs for image_id in pair}))
    group_of = {image.id: image.group for image in images}
    names = sorted(set(group_of.values()))
    place = {name: number for number, name in enumerate(names)}
    roots = joined(len(names), ((place[group_of[a]], place[group_of[b]]) for a, b in pairs))
    connected: dict[int, set[str]] = defaultdict(set)
    for name, root in zip(names, roots.tolist(), strict=True):
        connected[root].add(name)
    return [found for found in connected.values() if len(found) > 1]
