"""Bring photos into the platform: stored by content, quality measured, split by group, bad files set aside."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from damageloop.domain.annotation import Annotation, ImportedTruth, LabeledBox, Verdict, current_boxes
from damageloop.domain.groups import HashIndex
from damageloop.domain.image import (
    FORGOTTEN_NAME,
    Image,
    ImageHash,
    ImageStatus,
    Origin,
    QuarantinedFile,
    StoredImage,
)
from damageloop.domain.split import split_of_group
from damageloop.errors import InvalidImageError, InvalidInputError
from damageloop.params import Params
from damageloop.ports import Clock, ImageStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.images.join_duplicates import join_groups

Progress = Callable[[int, int], None]
MAX_VEHICLE_LENGTH = 255
COMMIT_EVERY = 50
# Rounds and snapshots wait for an import that beats, so that they see all of it; one that was killed beats no more.
IMPORT_BEAT = "import.beat_at"
IMPORT_LEASE = timedelta(seconds=60)
# Code of a file that is refused since its image was forgotten.
FORGOTTEN = "forgotten"


@dataclass
class IngestReport:
    """What an import did.

    Attributes:
        joined: Accepted photos that are near-duplicates of images of other vehicles: their groups are now one.
        excluded: Images that left snapshots and rounds, since a near-duplicate of theirs lies in a higher split.
    """

    accepted: int = 0
    known: int = 0
    annotated: int = 0
    joined: int = 0
    excluded: int = 0
    quarantined: list[QuarantinedFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IngestImages:
    """Imports files; doing it twice changes nothing."""

    units: UnitOfWorkFactory
    store: ImageStore
    clock: Clock
    params: Params

    def __call__(
        self,
        files: Sequence[Path],
        vehicles: Mapping[str, str],
        truths: Mapping[str, ImportedTruth],
        progress: Progress = lambda done, total: None,
        is_dry_run: bool = False,
        origin: Origin = Origin.IMPORT,
    ) -> IngestReport:
        """Import the files and return what happened to each.

        Args:
            files: Paths of photos.
            vehicles: Vehicle key by file name, before the name pattern of params.yaml is tried.
            truths: Reviewed annotations of origin `import` by file name; photos not named here get none.
            progress: Told (done, total) now and then.
            is_dry_run: Decode and check, write nothing.
            origin: Where the files come from.

        Raises:
            InvalidInputError: If a truth names a class that params.yaml does not have, or if two files share a name
                that has a truth or a vehicle.
        """
        truths = {name: ImportedTruth(self._current(name, truth)) for name, truth in truths.items()}
        _refuse_repeated_names(files, {*truths, *vehicles})
        _refuse_long_vehicles(vehicles)
        report, hashes = IngestReport(), HashIndex()
        for start in range(0, len(files), COMMIT_EVERY):
            # Before the transaction: decoding takes longer than other writers should wait.
            looked = [
                self._look(path, truths.get(path.name), is_dry_run) for path in files[start : start + COMMIT_EVERY]
            ]
            with self.units() as work:
                hashes.refresh(work.images.hashes_after(hashes.newest_id))
                for file in looked:
                    self._take(work, file, vehicles, report, hashes, origin)
                is_last = start + COMMIT_EVERY >= len(files)
                work.facts.set(IMPORT_BEAT, None if is_last else self.clock.now().isoformat())
                if is_dry_run:
                    # The numbers that this batch was given are not kept.
                    hashes = HashIndex()
                else:
                    work.commit()
            progress(min(start + COMMIT_EVERY, len(files)), len(files))
        return report

    def _current(self, name: str, truth: ImportedTruth) -> tuple[LabeledBox, ...]:
        """Return the boxes under the names of now. Raises InvalidInputError."""
        labels = self.params.labels
        for box in truth.boxes:
            if labels.former.current(box.damage_class) not in labels.classes:
                was = "was removed" if box.damage_class in labels.removed else "is none of labels.classes"
                raise InvalidInputError(
                    f"{name} has a box of class {box.damage_class!r}, which {was} in params.yaml "
                    f"({', '.join(sorted(labels.classes))}): correct the file, or `damageloop labels add` it."
                )
        return current_boxes(truth.boxes, labels.former)

    def _look(self, path: Path, truth: ImportedTruth | None, is_dry_run: bool) -> _Sound | _Refused:
        """Decode, check and store the bytes of one file; a file that is known already is not decoded again."""
        digest = None
        try:
            content = _read(path)
            digest = hashlib.sha256(content).hexdigest()
            with self.units(read_only=True) as work:
                known = _not_forgotten(work.images.by_source_sha256(digest), path)
            if known:
                return _Sound(path, known.stored, _checked(path, truth, known.size_wh))
            examined = self.store.examine(content)
            with self.units(read_only=True) as work:
                # The same picture in another file, such as one with other metadata.
                _not_forgotten(work.images.by_sha256(examined.stored.sha256), path)
            boxes = _checked(path, truth, examined.stored.size_wh)
            if not is_dry_run:
                self.store.keep(examined)
            return _Sound(path, examined.stored, boxes)
        except InvalidInputError as exc:
            return _Refused(QuarantinedFile(path.name, exc.code, str(exc)), digest)

    def _take(
        self,
        work: UnitOfWork,
        file: _Sound | _Refused,
        vehicles: Mapping[str, str],
        report: IngestReport,
        hashes: HashIndex,
        origin: Origin,
    ) -> None:
        if isinstance(file, _Refused):
            # Of a forgotten photo not even the name is kept.
            kept = replace(file.item, file=FORGOTTEN_NAME) if file.item.code == FORGOTTEN else file.item
            work.images.quarantine(kept, file.source_sha256)
            report.quarantined.append(file.item)
            return
        # The same picture with other metadata is the same stored image: it must not enter a second split.
        known = work.images.by_source_sha256(file.stored.source_sha256) or work.images.by_sha256(file.stored.sha256)
        image = known or self._add(work, file, vehicles, report, hashes, origin)
        report.accepted += known is None
        report.known += known is not None
        if file.boxes is not None:
            report.annotated += self._annotate(work, image, file.boxes)

    def _add(
        self,
        work: UnitOfWork,
        file: _Sound,
        vehicles: Mapping[str, str],
        report: IngestReport,
        hashes: HashIndex,
        origin: Origin,
    ) -> Image:
        """Add the image to its vehicle's group, joined with those of its near-duplicates."""
        name, stored = file.path.name, file.stored
        vehicle = vehicles.get(name) or self._vehicle_of(file.path)
        own = work.images.group_of_vehicle(vehicle)
        near = hashes.near(stored.perceptual_hash, stored.quality, self.params.ingest.duplicate_hash_bits)
        others = {image.group for image in work.images.get_many(near)} - {own or vehicle}
        report.joined += bool(others)
        if own or others:
            join = join_groups(work, {*others, *([own] if own else [])})
            report.excluded += len(join.excluded)
            image = work.images.add(stored, name, vehicle, join.split, origin, join.group)
        else:
            split = split_of_group(vehicle, self.params.split.seed, self.params.split.shares)
            image = work.images.add(stored, name, vehicle, split, origin)
        hashes.add(ImageHash(image.id, stored.perceptual_hash, stored.quality))
        return image

    def _vehicle_of(self, path: Path) -> str:
        match = re.match(self.params.ingest.vehicle_pattern, path.stem)
        return match["vehicle"] if match else path.stem

    def _annotate(self, work: UnitOfWork, image: Image, boxes: tuple[LabeledBox, ...]) -> bool:
        annotation = Annotation(
            image_id=image.id,
            verdict=Verdict.DAMAGED if boxes else Verdict.CLEAN,
            boxes=boxes,
            source="import",
            external_id=image.sha256,
            annotator="import",
            updated_at=self.clock.now(),
        )
        known = work.annotations.by_external_id("import", image.sha256)
        if known and known.content_hash == annotation.content_hash:
            # Importing the same again must not make it newer than what people have corrected since.
            return False
        return work.annotations.upsert(annotation)


@dataclass(frozen=True, slots=True)
class _Sound:
    """A file that can be taken in, with its boxes where it has a truth."""

    path: Path
    stored: StoredImage
    boxes: tuple[LabeledBox, ...] | None


@dataclass(frozen=True, slots=True)
class _Refused:
    """A file that is set aside, with its hash where it could be read."""

    item: QuarantinedFile
    source_sha256: str | None


def _not_forgotten(image: Image | None, path: Path) -> Image | None:
    """Return the image. Raises InvalidImageError when it was forgotten."""
    if image is not None and image.status is ImageStatus.FORGOTTEN:
        raise InvalidImageError(
            FORGOTTEN, f"{path.name} was forgotten on purpose (image {image.id}), and is not taken in again."
        )
    return image


def _checked(path: Path, truth: ImportedTruth | None, size_wh: tuple[int, int]) -> tuple[LabeledBox, ...] | None:
    """Return the boxes, cut off at the image's edge; None without a truth. Raises InvalidInputError."""
    if truth is None:
        return None
    boxes = []
    for box in truth.boxes:
        inside = box.box.clipped(size_wh)
        if inside is None or not box.box.is_inside(size_wh, tolerance_px=1.0):
            raise InvalidInputError(
                f"{path.name}: a {box.damage_class} box {box.box.as_tuple()} lies outside the "
                f"{size_wh[0]} x {size_wh[1]} image; correct it in the annotation file."
            )
        boxes.append(replace(box, box=inside))
    return tuple(boxes)


def _refuse_repeated_names(files: Sequence[Path], known: Set[str]) -> None:
    """Refuse two files of one name of which something is said: folders are not looked at, so each would get it."""
    for name, count in Counter(path.name for path in files).items():
        if count > 1 and name in known:
            raise InvalidInputError(
                f"{count} files are called {name}, and annotations and vehicles go by the file name: give each its own."
            )


def _refuse_long_vehicles(vehicles: Mapping[str, str]) -> None:
    """Refuse keys that not every database takes; those from file names are never so long."""
    for name, vehicle in vehicles.items():
        if len(vehicle) > MAX_VEHICLE_LENGTH:
            raise InvalidInputError(
                f"The vehicle of {name} has {len(vehicle)} characters; at most {MAX_VEHICLE_LENGTH} are taken."
            )


def is_importing(beat_at: str | None, now: datetime) -> bool:
    """Tell whether an import is running, by the fact `IMPORT_BEAT`."""
    return beat_at is not None and now - datetime.fromisoformat(beat_at) < IMPORT_LEASE


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """Return the files named and those below the folders named, sorted; hidden files and annotations are left out.

    Raises:
        InvalidInputError: If a path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [p for p in sorted(path.rglob("*")) if p.is_file() and _may_be_photo(p)]
        elif path.is_file():
            found.append(path)
        else:
            raise InvalidInputError(f"There is no file or folder {path}.")
    return found


def _may_be_photo(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() not in {
        ".json",
        ".csv",
        ".txt",
        ".yaml",
        ".yml",
        ".md",
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise InvalidImageError("unreadable", f"{path.name} could not be read: {exc.strerror}.") from exc
