"""Add, rename or remove a damage class: first the parameters, then everything that follows them.

The order makes a crash harmless. params.yaml is replaced whole and decides from then on; what follows it (annotations,
predictions, the annotation tool's labels) is compared with it and put right, by the same command run again or by
`damageloop labels apply`. `damageloop doctor` tells which is behind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from damageloop.domain.class_change import ChangeKind, ClassChange, ClassList, changed
from damageloop.domain.image import ImageStatus
from damageloop.domain.release import with_current_names
from damageloop.errors import NotFoundError, UnavailableError
from damageloop.params import Params
from damageloop.ports import Clock, ReleaseStore
from damageloop.ports.persistence import UnitOfWork, UnitOfWorkFactory
from damageloop.services.reviews.look_at_tool import MARK
from damageloop.services.rounds.renew_pre_annotations import RENEWED
from damageloop.training_params import Section

# The classes that annotations, predictions and the tool's labels were last brought to.
APPLIED = "labels.applied"
_PREDICTIONS_AT_ONCE = 500

# Writes values of params.yaml by dotted name, whole or not at all, and returns the parameters of then.
WriteParams = Callable[[Mapping[str, Any]], Params]
# Makes the annotation tool offer the classes of these parameters; tells whether it offered others before.
SetToolLabels = Callable[[Params], bool]


@dataclass(frozen=True, slots=True)
class ClassPreview:
    """What a change is about.

    Attributes:
        is_needed: False where params.yaml says so already.
        annotations: That have a box of the class and count.
        left_without: Of the images those that have no other box.
        snapshots: Git tags of snapshots that hold boxes of it; they stay as they are.
        models: Versions that know it.
        parameters: Other parameters that name the class, and are changed with it.
        effects: What will happen, in sentences.
    """

    change: ClassChange
    is_needed: bool
    annotations: int
    boxes: int
    images_by_split: dict[str, int]
    left_without: int
    snapshots: tuple[str, ...]
    models: tuple[int, ...]
    champion_knows: bool
    parameters: tuple[str, ...]
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppliedClasses:
    """What following the parameters changed."""

    classes: tuple[str, ...]
    images: int
    predictions: int
    tool_changed: bool


@dataclass(frozen=True, slots=True)
class ChangeClasses:
    """Previews and makes changes; making one twice changes nothing."""

    units: UnitOfWorkFactory
    releases: ReleaseStore
    clock: Clock
    params: Params
    write: WriteParams
    set_tool_labels: SetToolLabels

    def preview(self, change: ClassChange) -> ClassPreview:
        """Return what the change would do. Raises what `domain.class_change.changed` raises."""
        before = class_list(self.params)
        after = changed(before, change)
        with self.units(read_only=True) as work:
            live = [a for a in work.annotations.live() if any(b.damage_class == change.name for b in a.boxes)]
            images = {i.id: i for i in work.images.get_many(sorted({a.image_id for a in live}))}
            active = {i: image for i, image in images.items() if image.status is ImageStatus.ACTIVE}
            tags = tuple(s.git_tag for s in work.snapshots.all() if _holds(s.counts, change.name))
            models, champion = self._models_that_know(work, change.name), work.models.champion()
        boxes = Counter(b.damage_class == change.name for a in live for b in a.boxes)[True]
        alone = {a.image_id for a in live if all(b.damage_class == change.name for b in a.boxes)}
        knows = champion is not None and champion.model_version in models
        left = len(alone & active.keys()) if change.kind is ChangeKind.REMOVE else 0
        return ClassPreview(
            change=change,
            is_needed=after != before,
            annotations=len(live),
            boxes=boxes,
            images_by_split=dict(sorted(Counter(i.split.value for i in active.values()).items())),
            left_without=left,
            snapshots=tags,
            models=models,
            champion_knows=knows,
            parameters=tuple(sorted(mentions(self.params, change))),
            effects=tuple(_effects(change, len(live), left, knows)),
        )

    def __call__(self, change: ClassChange, actor: str) -> AppliedClasses:
        """Make the change and let everything follow it.

        Raises:
            UnavailableError: If the annotation tool does not answer; the change is made, `apply` finishes it.
        """
        preview = self.preview(change)
        after, params = changed(class_list(self.params), change), self.params
        if preview.is_needed:
            params = self.write({**_values(after), **mentions(self.params, change)})
        detail = {"to": change.to, "annotations": preview.annotations, "boxes": preview.boxes}
        return self.apply(params, actor, f"labels.{change.kind.value}", f"class {change.name}", detail)

    def apply(
        self,
        params: Params,
        actor: str,
        action: str = "labels.apply",
        subject: str = "all classes",
        detail: Mapping[str, Any] | None = None,
    ) -> AppliedClasses:
        """Bring annotations, predictions and the tool's labels to what the parameters say; safe to repeat."""
        labels = class_list(params)
        with self.units() as work:
            images = work.annotations.relabel(labels.former)
            is_behind = work.facts.get(APPLIED) != as_fact(labels)
            if images or is_behind:
                self._follow(work, labels, images)
                said = {**(detail or {}), "images": len(images), "classes": list(labels.classes)}
                work.audit.add(actor, action, subject, said, self.clock.now())
            work.commit()
        predictions = self._rename_predictions(labels)
        try:
            is_tool_changed = self.set_tool_labels(params)
        except UnavailableError as exc:
            raise UnavailableError(
                f"Parameters and annotations are changed, Label Studio is not yet: {exc} `damageloop labels apply` "
                "finishes it."
            ) from exc
        return AppliedClasses(labels.classes, len(images), predictions, is_tool_changed)

    def _follow(self, work: UnitOfWork, labels: ClassList, images: list[int]) -> None:
        # Doubts are about what was said before.
        work.label_errors.drop_open(images)
        known = work.facts.get(APPLIED) or {}
        if set(known.get("removed", ())) & set(labels.classes):
            # A class came back: its boxes are read from the annotation tool again, from the beginning.
            work.facts.set(MARK, None)
        if set(labels.removed) - set(known.get("removed", ())):
            # Untouched tasks may still show pre-labels of the class.
            work.facts.set(RENEWED, None)
        work.facts.set(APPLIED, as_fact(labels))

    def _rename_predictions(self, labels: ClassList) -> int:
        total = 0
        while True:
            # In portions, so that nobody waits long for the database.
            with self.units() as work:
                renamed = work.predictions.rename_classes(labels.former, _PREDICTIONS_AT_ONCE)
                work.commit()
            total += renamed
            if renamed < _PREDICTIONS_AT_ONCE:
                return total

    def _models_that_know(self, work: UnitOfWork, name: str) -> tuple[int, ...]:
        known = []
        for model in work.models.all():
            try:
                manifest = with_current_names(self.releases.manifest(model.version), self.params.labels.former)
            except NotFoundError:
                continue  # allotted, and its training not ended
            if name in manifest.labels:
                known.append(model.version)
        return tuple(known)


def class_list(params: Params) -> ClassList:
    """Return section `labels` of the parameters."""
    labels = params.labels
    return ClassList(labels.classes, labels.renamed, labels.removed)


def as_fact(labels: ClassList) -> dict[str, Any]:
    """Return what `APPLIED` says when everything follows these classes."""
    return {"classes": list(labels.classes), "renamed": dict(labels.renamed), "removed": list(labels.removed)}


def is_applied(work: UnitOfWork, params: Params) -> bool:
    """Tell whether the annotations follow the parameters; without a past there is nothing to follow."""
    labels = class_list(params)
    known = work.facts.get(APPLIED) or {}
    past = {"renamed": dict(labels.renamed), "removed": list(labels.removed)}
    return all((known.get(name) or type(value)()) == value for name, value in past.items())


def mentions(params: Params, change: ClassChange) -> dict[str, Any]:
    """Return the parameters beside `labels` that name a class, by dotted name, as they are after the change."""
    if change.kind is ChangeKind.ADD:
        return {}
    found = {}
    for dotted, value in _named_values(params, ""):
        # A split of the same name is no class.
        if not dotted.startswith("labels.") and any(type(each) is str and each == change.name for each in value):
            found[dotted] = _without(value, change)
    return found


def _named_values(section: Section, prefix: str) -> list[tuple[str, Any]]:
    """Return the values that can name classes: mappings with names as keys, and lists of names."""
    found: list[tuple[str, Any]] = []
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            found += _named_values(value, f"{prefix}{name}.")
        elif isinstance(value, Mapping | tuple):
            found.append((f"{prefix}{name}", value))
    return found


def _without(value: Any, change: ClassChange) -> Any:
    """Return a mapping or list with the class under its new name, or without it where it was removed."""
    if isinstance(value, Mapping):
        named = {(change.to if key == change.name else key): _plain(held) for key, held in value.items()}
        return {key: held for key, held in named.items() if key is not None}
    return [item for item in ((change.to if each == change.name else each) for each in value) if item is not None]


def _plain(held: Any) -> Any:
    """Return what a class has, such as its costs, as it can be written into the file."""
    return held.model_dump(mode="json") if isinstance(held, Section) else held


def _values(labels: ClassList) -> dict[str, Any]:
    return {f"labels.{name}": value for name, value in as_fact(labels).items()}


def _holds(counts: Mapping[str, Any], name: str) -> bool:
    return any(name in (part.get("boxes") or {}) for part in counts.values() if isinstance(part, Mapping))


def _effects(change: ClassChange, n_annotations: int, n_left: int, champion_knows: bool) -> list[str]:
    if change.kind is ChangeKind.ADD:
        return [
            "Annotators are offered the class at once; annotations made before stay valid.",
            "The champion goes on serving and does not see the class until a model that learned it is promoted.",
        ]
    if change.kind is ChangeKind.RENAME:
        return [
            f"{n_annotations} annotations are read under the name {change.to!r}; they count as changed.",
            "Label Studio keeps the first name as what it stores and shows the new one.",
            f"{'The champion answers' if champion_knows else 'Models that know the class answer'} under the new name.",
            "Snapshots made before keep the old name, and so do their parameters.",
        ]
    return [
        f"Boxes of the class leave {n_annotations} annotations as they are read; nothing is deleted in Label Studio.",
        f"{n_left} images have no other box: nobody said that they are clean, so they leave the next snapshot.",
        "Models that know the class go on; what they see of it is told to nobody.",
        "Snapshots made before keep it, and so do their parameters.",
    ]
