"""Protocols for everything that lies outside: services know these, adapters implement them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.image import StoredImage
from damageloop.domain.job import JobRequest
from damageloop.domain.label_error import JudgedImage, LabelCheck
from damageloop.domain.prediction import Detection, PreAnnotation
from damageloop.domain.release import Precision
from damageloop.ports.detector import Detector as Detector
from damageloop.ports.features import BoxFeatures as BoxFeatures
from damageloop.ports.features import FeatureStore as FeatureStore
from damageloop.ports.photos import ImageReader as ImageReader
from damageloop.ports.photos import Photo as Photo
from damageloop.ports.photos import RgbImage as RgbImage
from damageloop.ports.releases import ModelRegistry as ModelRegistry
from damageloop.ports.releases import ReleaseStore as ReleaseStore
from damageloop.ports.snapshots import SnapshotDraft as SnapshotDraft
from damageloop.ports.snapshots import SnapshotStore as SnapshotStore
from damageloop.ports.snapshots import WrittenSnapshot as WrittenSnapshot


class Clock(Protocol):
    """Tells the time, so that tests can set it."""

    def now(self) -> datetime:
        """Return the present moment in UTC."""


@dataclass(frozen=True, slots=True)
class ExaminedImage:
    """A sound image that is not stored yet: what is known of it, and the bytes to store."""

    stored: StoredImage
    content: bytes


class ImageStore(Protocol):
    """Image bytes named by content hash, never changed."""

    def put(self, content: bytes, file_name: str) -> StoredImage:
        """Decode safely, turn upright, strip metadata and store.

        Raises:
            InvalidImageError: With a code, when the bytes are no usable image.
        """

    def examine(self, content: bytes) -> ExaminedImage:
        """Return what `put` would store, and store nothing. Raises InvalidImageError."""

    def keep(self, examined: ExaminedImage) -> None:
        """Store an examined image; doing it twice changes nothing."""

    def read(self, store_key: str) -> bytes:
        """Return the stored bytes. Raises NotFoundError."""

    def load(self, store_key: str) -> RgbImage:
        """Return the upright pixels, shape (height, width, 3), uint8 RGB."""

    def photo(self, store_key: str, side_px: int) -> Photo:
        """Return the photo, reduced no further than to `side_px` on its longer side."""

    def link(self, store_key: str, target: Path) -> None:
        """Make the bytes appear at `target` (hard link where that works, else a copy) and check their hash."""

    def verify(self, store_key: str, sha256: str) -> bool:
        """Tell whether the stored bytes exist and have this hash."""

    def forget(self, store_key: str) -> None:
        """Remove the bytes for good, and leave a mark by which readers of earlier snapshots know; safe to repeat."""

    def redacted(self) -> frozenset[str]:
        """Return the hashes of images that were forgotten."""


@dataclass(frozen=True, slots=True)
class BaseExport:
    """The base as a serving process would load it.

    Attributes:
        labels: The classes its head knows.
        files: Files to release: as version 1 when the labels are ours, else for embeddings alone.
    """

    labels: tuple[str, ...]
    sha256: str
    files: dict[str, Path]


# Of a weights file's name, the image size in pixels and our classes.
ExportBase = Callable[[str, int, tuple[str, ...]], BaseExport]


# --- Annotation tool -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """An image to be put before annotators. `store_key` is its path in the image store.

    Attributes:
        note: Why it comes again, for the annotator to read; empty of what must look like any other task.
    """

    image_id: int
    store_key: str
    size_wh: tuple[int, int]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ExternalReview:
    """One annotation as the tool holds it now.

    Attributes:
        note: Why the image was skipped or can't be used, where the annotator said so.
        is_blank: It was submitted without a box and without a choice.
    """

    external_id: str
    task_id: int
    image_id: int
    verdict: Verdict
    boxes: tuple[LabeledBox, ...]
    annotator: str
    lead_time_s: float | None
    updated_at: datetime
    note: str | None = None
    is_blank: bool = False


@dataclass(frozen=True, slots=True)
class ToolIdentity:
    """Which installation of the tool this is: another one must not look like thousands of deletions."""

    project_id: int
    project_created_at: str


class AnnotationTool(Protocol):
    """Where humans work. Every method raises UnavailableError when the tool does not answer."""

    def identity(self) -> ToolIdentity:
        """Return which project this is."""

    def now(self) -> datetime | None:
        """Return what the tool's own clock says, to the second; None where it does not tell."""

    def import_tasks(self, drafts: Sequence[TaskDraft], others: Collection[int] = ()) -> dict[int, int]:
        """Make sure that each image has exactly one task beside `others`; return task ids by image id. Safe to repeat.

        `others` are second tasks of the images: they stay as they are.
        """

    def import_second_tasks(self, drafts: Sequence[TaskDraft], known: Collection[int]) -> dict[int, int]:
        """Give each image one task beside the `known` ones; return it by image id.

        Safe to repeat: a task that is there already and not among the known ones is taken up. Nothing in a task tells
        that it is a second one.
        """

    def existing(self, task_ids: Sequence[int]) -> set[int]:
        """Return those of the tasks that exist."""

    def import_pre_annotations(self, items: Sequence[PreAnnotation]) -> int:
        """Give each task its one prediction of the item's version (safe to repeat); return how many now exist."""

    def count_pre_annotations(self, model_version: int, task_ids: Sequence[int]) -> int:
        """Return how many of the tasks hold exactly one prediction of the version."""

    def bind_model_version(self, model_version: int) -> None:
        """Make the tool order its queue by this version's scores."""

    def untouched(self, task_ids: Sequence[int]) -> set[int]:
        """Return the tasks that nobody has annotated or drafted."""

    def withdraw(self, task_ids: Sequence[int]) -> None:
        """Take untouched tasks out of the queue."""

    def tasks_of(self, image_ids: Collection[int]) -> list[int]:
        """Return all tasks of these images, also those with work in them."""

    def forget(self, image_ids: Collection[int]) -> int:
        """Delete all tasks of these images with everything that people did in them; return how many went."""

    def reviews_since(self, mark: datetime | None) -> Iterable[ExternalReview]:
        """Yield annotations changed at or after the mark (the tool's clock), oldest first; all when None."""

    def reviews_of(self, task_ids: Sequence[int]) -> list[ExternalReview]:
        """Return all annotations that these tasks hold now, oldest first, whenever they were changed."""

    def review_tasks(self) -> dict[str, int]:
        """Return the external ids of all annotations that exist now, with the task of each."""


# --- Snapshots, training, registry -----------------------------------------------------------------------------


Progress = Callable[[float, str], None]


class DetailedProgress(Protocol):
    """Is told how far something is, 0 to 1, with a sentence and, of a training, its figures (see `JobContext`)."""

    def __call__(self, share: float, message: str, detail: Mapping[str, Any] | None = None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """A training to run: always from the base, in a clone at the tag, logged under `run_id`."""

    git_tag: str
    training_key: str
    run_id: str


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a pipeline run left: files to release, metrics, and the parts of a manifest that it decides.

    Attributes:
        card: The manifest's card; see `domain.model_card`.
        precision: What the released files compute in, one of `domain.release.Precision`.
    """

    export_files: dict[str, Path]
    metrics: dict[str, Any]
    thresholds: dict[str, float]
    none_calibration: dict[str, Any] | None
    labels: tuple[str, ...]
    image_size: int
    provenance: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)
    precision: str = Precision.F32


class PipelineRunner(Protocol):
    """Runs `dvc repro` as a process group of its own."""

    def run(
        self, request: TrainingRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> TrainingResult:
        """Run all stages and return what they left.

        Calls `progress` at least every few seconds, and ends the process group within seconds of `is_cancelled`.

        Raises:
            ConflictError: If it was cancelled.
            UnavailableError: If it was killed from outside.
            DamageloopError: If a stage failed; the sentence ends with the last lines of its log.
        """


@dataclass(frozen=True, slots=True)
class FoldRequest:
    """A search for predictions by models that never saw the image.

    Attributes:
        n_folds: Trainings; each leaves one part of the train groups out.
        seed: Of the dealing out.
        held_out: Hashes of images of val and test that are to be predicted too; no fold trains on them.
    """

    git_tag: str
    n_folds: int
    seed: int
    held_out: tuple[str, ...] = ()


class FoldPredictor(Protocol):
    """Trains on all folds but one and predicts that one, for each fold of a snapshot's train images."""

    def predict(
        self, request: FoldRequest, progress: DetailedProgress, is_cancelled: Callable[[], bool]
    ) -> dict[str, tuple[Detection, ...]]:
        """Return the detections of each train image and of what is held out, by image hash.

        A killed search goes on where it was. Raises what `PipelineRunner.run` raises.
        """


class Project(Protocol):
    """Lays embeddings out in the plane."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything that changes the result, as plain values."""

    def __call__(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return places, shape (n_images, 2), within -1 to 1; the same input always gives the same."""


class MapStore(Protocol):
    """Keeps laid-out maps by the hash of what they are made of."""

    def read(self, key: str) -> dict[int, tuple[float, float]] | None:
        """Return the places by image id, or None when there is no such map."""

    def write(self, key: str, places: Mapping[int, tuple[float, float]]) -> None:
        """Keep a map."""

    def forget(self, image_ids: Collection[int]) -> int:
        """Remove the maps that show one of these images, for others to be made; return how many went."""


# Judges annotations against detections: one check for each image, in order.
CheckLabels = Callable[[Sequence[JudgedImage]], list[LabelCheck]]


class JobQueue(Protocol):
    """Carries a nudge to a worker; the ledger is the truth."""

    def send(self, job_id: int, queue: str) -> None:
        """Tell a worker of the queue that this job waits."""


class JobContext(Protocol):
    """What a running job may say and ask."""

    def progress(self, share: float, message: str, detail: Mapping[str, Any] | None = None, /) -> None:
        """Beat, and tell how far it is: 0 to 1 with a sentence.

        Args:
            share: How much is done.
            message: What is being done, in words.
            detail: Of a training: `epoch`, `epochs`, `loss`, `seconds_left` and `log`, its last lines. None: as before.
        """

    def is_cancelled(self) -> bool:
        """Tell whether the job is to end: a person asked for it, or another worker has taken it over."""

    def is_taken_over(self) -> bool:
        """Tell whether another worker runs the job by now: what it uses outside must be left as it is."""


Handler = Callable[[Mapping[str, Any], JobContext], dict[str, Any]]
RequestJobs = Callable[[Sequence[JobRequest]], list[int]]
Lock = Callable[[], AbstractContextManager[None]]
