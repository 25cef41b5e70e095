"""The unit of work and its repositories: everything that the SQL database remembers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self

from damageloop.domain.evidence import Evidence
from damageloop.domain.gallery import GallerySearch, Place, ScoresOf
from damageloop.domain.image import Image, ImageHash, ImageStatus, Origin, QuarantinedFile, StoredImage
from damageloop.domain.image_request import ImageRequest, RequestKind, RequestOrigin
from damageloop.domain.key import ApiKey, Scope
from damageloop.domain.label_error import Doubt, LabelError, LabelErrorState
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.round import ItemState, Round, RoundItem, RoundKind, RoundState
from damageloop.domain.split import Split
from damageloop.domain.subset import Subset, SubsetQuery
from damageloop.ports.data import DataRepository
from damageloop.ports.jobs import JobRepository
from damageloop.ports.models import ModelRepository, SnapshotRepository
from damageloop.ports.monitoring import DriftRepository, ProductionPhotoRepository, ServedImageRepository
from damageloop.ports.pricing import (
    BatchRepository,
    FeedbackRepository,
    IdempotencyRepository,
    ValuationRepository,
)
from damageloop.ports.records import (
    AuditRepository,
    KnownItemRepository,
    RedactionRepository,
    SecondOpinionRepository,
    TriggerRepository,
)
from damageloop.ports.reviews import AnnotationRepository, InboxRepository


class ImageRepository(Protocol):
    """Images and what was refused at import."""

    def by_source_sha256(self, source_sha256: str) -> Image | None: ...
    def by_sha256(self, sha256: str) -> Image | None:
        """Return the image with these stored bytes: one file with other metadata gives the same."""

    def add(
        self,
        stored: StoredImage,
        file_name: str,
        vehicle: str,
        split: Split,
        origin: Origin,
        group: str | None = None,
        status: ImageStatus = ImageStatus.ACTIVE,
    ) -> Image:
        """Store what is known of a new image; without `group` it is in that of its vehicle's name."""

    def get(self, image_id: int) -> Image: ...
    def get_many(self, image_ids: Sequence[int]) -> list[Image]: ...
    def group_of_vehicle(self, vehicle: str) -> str | None:
        """Return the group that the vehicle's images are in; None for an unknown vehicle."""

    def of_vehicle(self, vehicle: str) -> list[Image]:
        """Return all images of a vehicle, also those that are not active, oldest first."""

    def with_bytes_of(self, image_ids: Sequence[int]) -> list[Image]:
        """Return these images, and those with the same stored bytes as one of them."""

    def unlabeled_before(self, moment: datetime, limit: int) -> list[int]:
        """Return images from before the moment that nobody annotated, asked for or holds in a round, oldest first."""

    def of_groups(self, groups: Sequence[str]) -> list[Image]:
        """Return all images of the groups, also those that are not active, oldest first."""

    def set_group(self, image_ids: Sequence[int], group: str) -> None: ...
    def exclude_leaks(self, image_ids: Sequence[int]) -> None:
        """Mark images whose near-duplicates are in a higher split: snapshots, rounds and scoring leave them out."""

    def hashes_after(self, image_id: int) -> list[ImageHash]:
        """Return what tells near-duplicates, of images whose number is higher, oldest first."""

    def changed(self, since_sequence: int) -> set[int]:
        """Return the images whose split, group or status changed above this change sequence."""

    def active(self) -> list[Image]: ...
    def of_origin(self, origin: Origin) -> list[Image]: ...
    def unscored(self, model_version: int, limit: int | None = None) -> list[Image]: ...
    def n_unscored(self, model_version: int) -> int: ...
    def unannotated(self, splits: Sequence[Split]) -> list[Image]:
        """Return active images without annotation that no open round holds."""

    def n_unannotated(self, splits: Sequence[Split]) -> int:
        """Return how many those are, without the ones that somebody asked to skip; loads none of them."""

    def count(self) -> int: ...
    def counts_by_split(self) -> dict[str, int]:
        """Return how many active images each split has."""

    def quarantine(self, item: QuarantinedFile, source_sha256: str | None) -> bool:
        """Remember a refused file; False when the same file was refused before."""

    def quarantined(self) -> list[QuarantinedFile]: ...


class GalleryRepository(Protocol):
    """Finds images by filters, page by page; reads no more than the page needs where an index helps."""

    def places(self, search: GallerySearch, scores: ScoresOf, after: Place | None, limit: int) -> list[Place]:
        """Return the next images in the order of the search, the nearer one by id where two are alike.

        Where people have said several things of an image it is found by each of them, and as unlabeled too: which of
        them counts is a matter of `resolve_annotations` (see `disputed`).
        """

    def disputed(self, image_ids: Sequence[int]) -> set[int]:
        """Return those of at most a thousand images that have several annotations."""

    def newest_items(self, image_ids: Sequence[int]) -> dict[int, RoundItem]:
        """Return the newest round item of each image that a round ever held."""

    def wrong_classes(self, after_id: int, limit: int) -> tuple[list[str], int | None]:
        """Check the tables of classes for at most so many images above the id.

        Return what disagrees with annotations and predictions, in words, and the last image looked at; None at the end.
        """


class PredictionRepository(Protocol):
    """What each model version said of each image."""

    def add_many(self, predictions: Sequence[Prediction], now: datetime) -> None:
        """Store predictions; one for an image and version that exists already is left as it is."""

    def of_version(self, model_version: int, image_ids: Sequence[int] | None = None) -> dict[int, Prediction]: ...
    def unmirrored(self, model_version: int) -> list[int]:
        """Return active train images that this version saw, but not mirrored: strategies choose from train alone."""

    def add_mirrored(self, model_version: int, detections: Mapping[int, Sequence[Detection]]) -> None:
        """Add what the version says of mirrored images to their predictions; a view that is there stays as it is."""

    def rename_classes(self, former: FormerNames, limit: int) -> int:
        """Name the boxes of at most so many predictions as their classes are called now; return how many it were."""

    def count(self, model_version: int) -> int: ...
    def refuse(self, image_id: int, model_version: int, reason: str, now: datetime) -> None: ...
    def refused(self, model_version: int) -> list[tuple[int, str]]: ...


class RoundRepository(Protocol):
    """Rounds and their items."""

    def add(
        self,
        round_id: int,
        kind: RoundKind,
        strategy: str,
        model_version: int | None,
        seed: int,
        now: datetime,
        items: Sequence[RoundItem],
        note: str | None = None,
    ) -> Round:
        """Write down an opening round under its number, whatever numbers were tried and rolled back before."""

    def get(self, round_id: int) -> Round: ...
    def all(self) -> list[Round]: ...
    def unclosed(self) -> list[Round]: ...
    def page(self, limit: int, after: int | None) -> list[Round]:
        """Return at most so many rounds whose number is above `after`, oldest first."""

    def items(self, round_id: int) -> list[RoundItem]: ...
    def page_of_items(self, round_id: int, limit: int, after_rank: int | None) -> list[RoundItem]:
        """Return at most so many items of a round whose rank is above `after_rank`, by rank."""

    def set_state(self, round_id: int, state: RoundState, now: datetime) -> None: ...
    def set_tasks(self, round_id: int, task_of_image: Mapping[int, int]) -> None:
        """Remember the task of each image and mark its item as sent."""

    def set_item_states(self, round_id: int, image_ids: Sequence[int], state: ItemState) -> None: ...
    def mark_reviewed(self, source: str) -> int:
        """Mark sent items whose image has an annotation of the source; return how many.

        An item that somebody had a draft on when its round closed is marked too, unless a later round holds the image.
        """

    def tasks_of(self, image_ids: Sequence[int]) -> set[int]:
        """Return the tasks that these images ever had as items of rounds."""

    def items_of_tasks(self, tasks: Sequence[tuple[int, int]]) -> dict[int, tuple[RoundItem, int]]:
        """Return the item of each (task id, image id) by task id, with the number of items of its round.

        The newest round counts. An item that has no task yet is found by its image; a task without an item is missing.
        """

    def item_of_image(self, image_id: int) -> RoundItem | None:
        """Return the newest item of an image, or None when no round ever held it."""

    def untouched_random(self) -> list[RoundItem]:
        """Return what was drawn at random with a known probability and not reviewed when its round closed.

        Each image's newest item alone counts, oldest first: these are carried over.
        """

    def reviewed(self) -> list[tuple[int, RoundItem]]:
        """Return the reviewed items of all rounds with their rounds' numbers, by round and rank."""

    def n_reviewed(self) -> int:
        """Return how many items of all rounds were reviewed."""

    def n_given_out(self, since: datetime) -> int:
        """Return how many items rounds opened since then have put before annotators and not withdrawn."""


class ImageRequestRepository(Protocol):
    """Requests about images, oldest first."""

    def add(
        self, image_id: int, kind: RequestKind, origin: RequestOrigin, reason: str, asked_by: str, now: datetime
    ) -> ImageRequest: ...
    def active(self, kinds: Collection[RequestKind] = ...) -> list[ImageRequest]:
        """Return the requests of these kinds, all by default, that have not ended."""

    def active_of_image(self, image_id: int) -> ImageRequest | None: ...
    def end(self, request_id: int, now: datetime) -> None: ...
    def end_reviewed(self, source: str, now: datetime) -> int:
        """End pins of images that have an annotation of the source; a send-back ends with the answer in its task."""

    def set_round(self, request_ids: Sequence[int], round_id: int) -> None:
        """Remember which round took the requests up last."""


class KeyRepository(Protocol):
    """API keys by their hash."""

    def add(
        self,
        name: str,
        scopes: Sequence[Scope],
        key_hash: str,
        now: datetime,
        *,
        hint: str | None = None,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
    ) -> ApiKey: ...
    def by_hash(self, key_hash: str) -> ApiKey | None: ...
    def get(self, key_id: int, for_update: bool = False) -> ApiKey:
        """Return the key; `for_update` has others who want it wait. Raises NotFoundError."""

    def all(self, for_update: bool = False) -> list[ApiKey]:
        """Return all keys, oldest first; `for_update` has others who want one wait."""

    def replace(self, key_id: int, successor_id: int, ends_at: datetime) -> ApiKey:
        """Name the key that takes the place of this one, which ends at the moment."""

    def revoke(self, key_id: int, now: datetime) -> ApiKey: ...
    def touch(self, key_id: int, now: datetime) -> None: ...


class EvidenceRepository(Protocol):
    """Answers as they were given."""

    def add(
        self,
        request_id: str,
        model_version: int,
        answer: Mapping[str, Any],
        now: datetime,
        api_key_id: int | None = None,
    ) -> None: ...
    def add_many(self, evidence: Sequence[Evidence]) -> None:
        """Remember answers; one that is remembered already stays as it is."""

    def expire(self, before: datetime, limit: int, is_dry_run: bool = False) -> int:
        """Remove at most so many answers from before the moment; return how many, or only count all of them."""

    def get(self, request_id: str) -> dict[str, Any]: ...


class FactRepository(Protocol):
    """Small remembered facts: marks, the annotation tool's identity, why snapshots are stopped."""

    def get(self, name: str) -> Any | None: ...
    def set(self, name: str, value: Any) -> None: ...


class SubsetRepository(Protocol):
    """Saved subsets of images."""

    def add(
        self,
        name: str,
        note: str,
        image_ids: tuple[int, ...],
        created_by: str,
        now: datetime,
        query: SubsetQuery | None = None,
    ) -> Subset:
        """Store a new subset. Raises ConflictError when the name is taken."""

    def get(self, subset_id: int) -> Subset: ...
    def by_name(self, name: str) -> Subset | None: ...
    def all(self) -> list[Subset]: ...
    def page(self, limit: int, after: int | None) -> list[Subset]:
        """Return at most so many subsets whose number is above `after`, oldest first."""

    def replace(
        self,
        subset_id: int,
        name: str,
        note: str,
        image_ids: tuple[int, ...],
        now: datetime,
        query: SubsetQuery | None = None,
    ) -> Subset:
        """Store other content; the filter of before is forgotten where none is given."""

    def remove(self, subset_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class FoundLabelError:
    """A doubt about one state of an image's annotation, with the detections that raise it."""

    image_id: int
    annotation_hash: str
    doubt: Doubt
    detections: tuple[Detection, ...]


class LabelErrorRepository(Protocol):
    """Annotations that out-of-fold predictions contradict."""

    def keep(self, snapshot_id: int, found: Sequence[FoundLabelError], now: datetime) -> int:
        """Store doubts, one for each state of an annotation, and return how many are new.

        An open one is told anew; one that is queued or decided stays as it is.
        """

    def drop_open(self, image_ids: Sequence[int]) -> None:
        """Forget open doubts about these images: a newer look does not share them."""

    def get(self, error_id: int) -> LabelError: ...
    def all(self, states: Collection[LabelErrorState] | None = None) -> list[LabelError]:
        """Return doubts of these states, the greatest first; of all states when None."""

    def page(self, states: Collection[LabelErrorState], limit: int, after: int | None) -> list[LabelError]:
        """Return as many of these, the greatest first, that come after the one of id `after`. Raises NotFoundError."""

    def set_state(self, error_id: int, state: LabelErrorState) -> None: ...


class UnitOfWork(Protocol):
    """One transaction. Leaving the block without `commit` rolls everything back."""

    images: ImageRepository
    gallery: GalleryRepository
    annotations: AnnotationRepository
    inbox: InboxRepository
    predictions: PredictionRepository
    rounds: RoundRepository
    image_requests: ImageRequestRepository
    snapshots: SnapshotRepository
    models: ModelRepository
    jobs: JobRepository
    keys: KeyRepository
    evidence: EvidenceRepository
    facts: FactRepository
    subsets: SubsetRepository
    label_errors: LabelErrorRepository
    triggers: TriggerRepository
    second_opinions: SecondOpinionRepository
    known_items: KnownItemRepository
    redactions: RedactionRepository
    audit: AuditRepository
    idempotency: IdempotencyRepository
    valuations: ValuationRepository
    feedback: FeedbackRepository
    batches: BatchRepository
    data: DataRepository
    served_images: ServedImageRepository
    production_photos: ProductionPhotoRepository
    drift: DriftRepository

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def commit(self) -> None: ...
    def after_commit(self, action: Callable[[], None]) -> None:
        """Run something once the transaction is safe, such as sending a nudge."""


class UnitOfWorkFactory(Protocol):
    """Opens units of work; a read-only one waits for no writer and must not write."""

    def __call__(self, read_only: bool = False) -> UnitOfWork: ...
