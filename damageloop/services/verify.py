"""The platform's invariants, each checked on what is really there. Nothing is repaired here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from damageloop.domain.prediction import PreAnnotation, refusal_reason
from damageloop.domain.round import ItemState, RoundState, Share
from damageloop.domain.split import Split
from damageloop.errors import DamageloopError
from damageloop.params import Params
from damageloop.ports import AnnotationTool, ImageStore, ModelRegistry, ReleaseStore, SnapshotStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.receive_reviews import SOURCE

MAX_VIOLATIONS = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant and, in words, where it is broken."""

    name: str
    violations: tuple[str, ...]

    @property
    def is_ok(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True)
class Verify:
    """Checks every invariant known so far."""

    units: UnitOfWorkFactory
    images: ImageStore
    releases: ReleaseStore
    snapshots: SnapshotStore
    registry: ModelRegistry
    tool: AnnotationTool
    params: Params

    def __call__(self) -> list[Invariant]:
        """Return all invariants with their violations; a system that does not answer is a violation."""
        checks: dict[str, Callable[[UnitOfWork], Iterator[str]]] = {
            "every stored image has its bytes, unchanged": self._image_bytes,
            "photos of one vehicle are in one split": self._vehicle_splits,
            "no group has active images in two splits": self._group_splits,
            "every annotation of Label Studio is in the database once, with its last content": self._annotations,
            "strategies chose from train groups only": self._shares,
            "no image is in two open rounds": self._held_once,
            "every prediction sent is sound": self._predictions,
            "every snapshot row has its tag, and every tag its row": self._snapshots,
            "champion's release is whole, and the registry's alias is the champion": self._champion,
            "no key has two active jobs": self._jobs,
        }
        return [Invariant(name, tuple(self._checked(check))) for name, check in checks.items()]

    def _checked(self, check: Callable[[UnitOfWork], Iterator[str]]) -> Iterator[str]:
        count = 0
        try:
            with self.units(read_only=True) as work:
                for count, violation in enumerate(check(work), start=1):
                    if count <= MAX_VIOLATIONS:
                        yield violation
        except DamageloopError as exc:
            yield f"could not be checked: {exc}"
        if count > MAX_VIOLATIONS:
            yield f"and {count - MAX_VIOLATIONS} more"

    def _image_bytes(self, work: UnitOfWork) -> Iterator[str]:
        for image in work.images.active():
            if not self.images.verify(image.store_key, image.sha256):
                yield f"image {image.id} ({image.file_name}): bytes are missing or changed"

    def _vehicle_splits(self, work: UnitOfWork) -> Iterator[str]:
        splits: dict[str, Split] = {}
        for image in work.images.active():
            if splits.setdefault(image.vehicle, image.split) is not image.split:
                yield f"vehicle {image.vehicle}: image {image.id} is in {image.split.value}"

    def _group_splits(self, work: UnitOfWork) -> Iterator[str]:
        splits: dict[str, Split] = {}
        groups: dict[str, str] = {}
        for image in work.images.active():
            if splits.setdefault(image.group, image.split) is not image.split:
                yield f"group {image.group}: image {image.id} is in {image.split.value}"
            if groups.setdefault(image.vehicle, image.group) != image.group:
                yield f"vehicle {image.vehicle} is in two groups: image {image.id} is in {image.group}"

    def _annotations(self, work: UnitOfWork) -> Iterator[str]:
        ours = {a.external_id: a for a in work.annotations.all(SOURCE) if not a.is_deleted}
        theirs = {review.external_id: review for review in self.tool.reviews_since(None)}
        for external_id in sorted(ours.keys() ^ theirs.keys()):
            side = "the database" if external_id in ours else "Label Studio"
            yield f"annotation {external_id} is only in {side}"
        for external_id in sorted(ours.keys() & theirs.keys()):
            mine, other = ours[external_id], theirs[external_id]
            if (mine.image_id, mine.verdict, mine.boxes) != (other.image_id, other.verdict, other.boxes):
                yield f"annotation {external_id} has other content in Label Studio"

    def _shares(self, work: UnitOfWork) -> Iterator[str]:
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

    def _held_once(self, work: UnitOfWork) -> Iterator[str]:
        holder: dict[int, int] = {}
        for opened in work.rounds.unclosed():
            for item in work.rounds.items(opened.id):
                if item.state is ItemState.WITHDRAWN:
                    continue
                first = holder.setdefault(item.image_id, opened.id)
                if first != opened.id:
                    yield f"image {item.image_id} is in rounds {first} and {opened.id}"

    def _predictions(self, work: UnitOfWork) -> Iterator[str]:
        images = {image.id: image for image in work.images.active()}
        for model in work.models.all():
            refused = dict(work.predictions.refused(model.version))
            for image_id, prediction in work.predictions.of_version(model.version).items():
                if image_id not in images or image_id in refused:
                    continue
                size = images[image_id].size_wh
                draft = PreAnnotation(0, image_id, model.version, 0.0, size, prediction.detections)
                reason = refusal_reason(draft, self.params.labels.classes)
                if reason:
                    yield f"prediction of image {image_id} by version {model.version}: {reason}"

    def _snapshots(self, work: UnitOfWork) -> Iterator[str]:
        rows, tags = {s.git_tag for s in work.snapshots.all()}, set(self.snapshots.tags())
        for tag in sorted(rows ^ tags):
            yield f"{tag} is only in {'the database' if tag in rows else 'the workspace'}"

    def _champion(self, work: UnitOfWork) -> Iterator[str]:
        promotion = work.models.champion()
        if promotion is None:
            return
        self.releases.folder(promotion.model_version)
        wanted, found = work.models.get(promotion.model_version).mlflow_version, self.registry.champion()
        if wanted != found:
            yield f"the registry's champion is its version {found}, ours is its version {wanted}"

    def _jobs(self, work: UnitOfWork) -> Iterator[str]:
        for key, count in Counter(job.key for job in work.jobs.active()).items():
            if count > 1:
                yield f"{key} has {count} active jobs"
