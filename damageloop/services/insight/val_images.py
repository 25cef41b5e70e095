"""What a model shows on the val images that people have judged, as far as the platform has kept it.

Test images are not looked at here: they gate promotions, and whoever chose or trained by them would spoil that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock

from damageloop.domain.annotation import LabeledBox, current_boxes
from damageloop.domain.box_matching import MatchedImage, match_boxes
from damageloop.domain.evaluation import ImageEvaluation, evaluate_image
from damageloop.domain.image import Image, ImageStatus
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Prediction, current_detections
from damageloop.domain.release import with_current_names
from damageloop.domain.split import Split
from damageloop.errors import ConflictError
from damageloop.params import Params
from damageloop.ports import ReleaseStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.resolve_annotations import resolve_annotations

# Versions whose val images are remembered: a page compares two, and people go to and fro between a few.
_N_KEPT = 4


@dataclass(frozen=True, slots=True)
class Truth:
    """A val image and what people say of it now."""

    image: Image
    boxes: tuple[LabeledBox, ...]


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """A val image with what one version shows on it.

    Attributes:
        record: For figures at any threshold.
        matched: Boxes at the working thresholds.
    """

    image: Image
    record: ImageEvaluation
    matched: MatchedImage


@dataclass(frozen=True, slots=True)
class ValLook:
    """All val images that a version was run on.

    Attributes:
        key: Tells this look from one at other labels, thresholds or images.
        thresholds: Working threshold by class, under present names.
        images: By number, ascending.
        n_unseen: Judged val images that the version was never run on.
    """

    version: int
    key: str
    thresholds: Mapping[str, float]
    images: Mapping[int, JudgedImage]
    n_unseen: int


@dataclass(frozen=True, slots=True)
class _Basis:
    key: str
    truths: Mapping[int, Truth]


@dataclass
class ValImages:
    """Reads val images and remembers them until an annotation, an image or the classes change.

    Attributes:
        params: Returns the parameters of the moment.
    """

    units: UnitOfWorkFactory
    releases: ReleaseStore
    params: Callable[[], Params]
    _basis: _Basis | None = None
    _kept: OrderedDict[int, ValLook] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, version: int) -> ValLook:
        """Return what `version` shows on the val images that people called damaged or clean.

        Raises:
            NotFoundError: If there is no such version or release.
            ConflictError: If nobody has judged a val image, or the version was run on none of them.
        """
        params = self.params()
        with self._lock, self.units(read_only=True) as work:
            work.models.get(version)
            basis = self._truths(work, params)
            if not basis.truths:
                raise ConflictError(
                    "No val image is annotated yet: an audit round brings some to annotators "
                    "(`damageloop triggers ask audit`)."
                )
            look = self._look(work, version, basis, params.labels.former)
        if not look.images:
            raise ConflictError(
                f"Version {version} was never run on val images: it was judged before the platform kept what "
                "challengers say of them. Later versions have it, and so has every champion."
            )
        return look

    def _truths(self, work: UnitOfWork, params: Params) -> _Basis:
        # Annotations and images share the counter of changes.
        key = f"{work.annotations.sequence()} {params.labels!r} {params.annotation!r}"
        if self._basis is None or self._basis.key != key:
            self._basis = _Basis(key, _read_truths(work, params))
            self._kept.clear()
        return self._basis

    def _look(self, work: UnitOfWork, version: int, basis: _Basis, former: FormerNames) -> ValLook:
        thresholds = with_current_names(self.releases.manifest(version), former).thresholds
        known = self._kept.get(version)
        images = dict(known.images) if known and known.thresholds == thresholds else {}
        unseen = [image_id for image_id in basis.truths if image_id not in images]
        for image_id, prediction in work.predictions.of_version(version, unseen).items():
            images[image_id] = _judged(basis.truths[image_id], prediction, thresholds, former)
        ordered = {image_id: images[image_id] for image_id in sorted(images)}
        key = f"{basis.key} {version} {sorted(thresholds.items())} {len(ordered)}"
        look = ValLook(version, key, thresholds, ordered, len(basis.truths) - len(ordered))
        self._kept[version] = look
        self._kept.move_to_end(version)
        while len(self._kept) > _N_KEPT:
            self._kept.popitem(last=False)
        return look


def _read_truths(work: UnitOfWork, params: Params) -> dict[int, Truth]:
    asked = work.annotations.labeled_images(Split.VAL)
    resolved = {i: a for i, a in resolve_annotations(work, params, asked).items() if a.is_labeled}
    images = work.images.get_many(sorted(resolved))
    former = params.labels.former
    return {
        image.id: Truth(image, current_boxes(resolved[image.id].boxes, former))
        for image in images
        if image.status is ImageStatus.ACTIVE
    }


def _judged(truth: Truth, prediction: Prediction, thresholds: Mapping[str, float], former: FormerNames) -> JudgedImage:
    image = truth.image
    detections = current_detections(prediction.detections, former)
    return JudgedImage(
        image,
        evaluate_image(str(image.id), image.group, truth.boxes, detections, image.size_wh),
        match_boxes(truth.boxes, detections, thresholds),
    )
