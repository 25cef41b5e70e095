"""Take kept production photos into the pool, with origin `production`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damageloop.domain.image import Origin
from damageloop.domain.production_photo import ProductionPhoto
from damageloop.errors import NotFoundError
from damageloop.ports import Clock, JobContext
from damageloop.ports.monitoring import ProductionStore
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.images.ingest_images import IngestImages

AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class TakeInProduction:
    """A job; safe to run twice: a photo that is in the pool already is known there by its hash."""

    units: UnitOfWorkFactory
    store: ProductionStore
    ingest: IngestImages
    clock: Clock

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Take in all that wait; return how many were `accepted`, `known` and `refused`."""
        counts = {"accepted": 0, "known": 0, "refused": 0}
        with self.units(read_only=True) as work:
            total = work.production_photos.n_waiting()
        while photos := self._waiting():
            for name, number in self._take(photos).items():
                counts[name] += number
            done = sum(counts.values())
            context.progress(min(1.0, done / max(1, total)), f"{done} of {total} production photos")
        return counts

    def _waiting(self) -> list[ProductionPhoto]:
        with self.units(read_only=True) as work:
            return work.production_photos.waiting(AT_ONCE)

    def _take(self, photos: Sequence[ProductionPhoto]) -> dict[str, int]:
        with tempfile.TemporaryDirectory(prefix="damageloop-production-") as folder:
            paths: dict[Path, ProductionPhoto] = {}
            hashes: dict[str, str] = {}
            for photo in photos:
                path = Path(folder) / f"{photo.request_id}-{photo.position}"
                try:
                    content = self.store.read(photo.store_key)
                except NotFoundError:
                    # Whoever took it in died after its bytes were removed, or somebody cleared the folder.
                    content = b""
                path.write_bytes(content)
                hashes[path.name] = hashlib.sha256(content).hexdigest()
                paths[path] = photo
            vehicles = {path.name: photo.vehicle for path, photo in paths.items()}
            report = self.ingest(list(paths), vehicles, {}, origin=Origin.PRODUCTION)
        refused = {item.file: item.reason for item in report.quarantined}
        self._note({path.name: photo for path, photo in paths.items()}, hashes, refused)
        for photo in photos:
            self.store.remove(photo.store_key)
        return {"accepted": report.accepted, "known": report.known, "refused": len(refused)}

    def _note(
        self, photos: Mapping[str, ProductionPhoto], hashes: Mapping[str, str], refused: Mapping[str, str]
    ) -> None:
        now = self.clock.now()
        with self.units() as work:
            for name, photo in photos.items():
                image = work.images.by_source_sha256(hashes[name])
                error = refused.get(name) or (None if image else "It is the same picture as a known image.")
                work.production_photos.taken_in(photo, image.id if image else None, error, now)
            work.commit()
