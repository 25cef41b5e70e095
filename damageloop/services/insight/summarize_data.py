"""How the data is made up: from the newest snapshot's counts, and else from a sample that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from damageloop.domain import data_summary
from damageloop.domain.annotation import Annotation
from damageloop.domain.data_summary import Basis, DataSummary, ImageNumbers, LabelNumbers
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.snapshot import Snapshot
from damageloop.params import Params
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.resolve_annotations import resolve_annotations

SAMPLE_SIZE = 5000


@dataclass(frozen=True, slots=True)
class SummarizeData:
    """Reads at most `sample_size` images and as many annotations, whatever there is."""

    units: UnitOfWorkFactory
    params: Params
    sample_size: int = SAMPLE_SIZE

    def __call__(self) -> DataSummary:
        """Return the summary. Sampled are the same images each time, as long as none is added."""
        with self.units(read_only=True) as work:
            snapshot = work.snapshots.latest()
            annotated, basis = self._annotated(work)
            return DataSummary(
                images=self._images(work),
                labels=_labels(snapshot, annotated, basis),
                boxes=data_summary.box_numbers(annotated, basis),
                snapshot_id=snapshot.id if snapshot else None,
                findings=_findings(snapshot),
                quarantined=work.data.quarantine_counts(),
            )

    def _images(self, work: UnitOfWork) -> ImageNumbers:
        largest = work.data.largest_image_id()
        images = work.images.get_many(_drawn(largest, self.sample_size))
        is_exact = largest <= self.sample_size
        basis = Basis(_words(len(images), "image", is_exact), len(images), is_exact)
        return data_summary.image_numbers(images, basis, len(images) if is_exact else largest)

    def _annotated(self, work: UnitOfWork) -> tuple[list[tuple[Image, Annotation]], Basis]:
        """Return images that people have looked at, each with the annotation that counts."""
        largest = work.data.largest_annotation_id()
        image_ids = sorted(work.data.images_of_annotations(_drawn(largest, self.sample_size)))
        counting = resolve_annotations(work, self.params, image_ids)
        images = [i for i in work.images.get_many(image_ids) if i.status is not ImageStatus.FORGOTTEN]
        found = [(image, counting[image.id]) for image in images if image.id in counting]
        is_exact = largest <= self.sample_size
        return found, Basis(_words(len(found), "annotated image", is_exact), len(found), is_exact)


def _labels(snapshot: Snapshot | None, annotated: Sequence[tuple[Image, Annotation]], basis: Basis) -> LabelNumbers:
    if snapshot is None or not snapshot.counts:
        return LabelNumbers(basis, data_summary.counts_by_split(annotated))
    n_images = sum(part["images"] for part in snapshot.counts.values())
    return LabelNumbers(Basis(f"snapshot {snapshot.id}", n_images, is_exact=True), snapshot.counts)


def _findings(snapshot: Snapshot | None) -> tuple[Mapping[str, Any], ...]:
    """Return what the checks of the snapshot found, errors before warnings."""
    report = (snapshot.report if snapshot else None) or {}
    return tuple(
        {"level": level, **finding}
        for level, name in (("error", "errors"), ("warning", "warnings"))
        for finding in report.get(name, ())
    )


def _drawn(largest: int, n_most: int) -> list[int]:
    """Return numbers from 1 to the largest, all or so many drawn without looking."""
    if largest <= n_most:
        return list(range(1, largest + 1))
    return sorted(int(i) + 1 for i in np.random.default_rng(0).choice(largest, n_most, replace=False))


def _words(n: int, noun: str, is_exact: bool) -> str:
    plural = noun if n == 1 else f"{noun}s"
    return f"all {n:,} {plural}" if is_exact else f"a sample of {n:,} {plural}"
