"""Whether a training will do on this machine: for `damageloop doctor`, and before the training job begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from damageloop.adapters.machine import present_resources
from damageloop.adapters.weights import ARCHITECTURE, find_base
from damageloop.bootstrap.core import Core
from damageloop.domain.training_needs import YOLO11N_WEIGHTS_BYTES, Resources, TrainingSize, needs, shortfalls
from damageloop.errors import UnavailableError
from damageloop.ports import Handler, JobContext


@dataclass(frozen=True, slots=True)
class Room:
    """What the next training needs, and what there is."""

    needed: Resources
    present: Resources

    @property
    def shortfalls(self) -> list[str]:
        return shortfalls(self.needed, self.present)


# Asking torch would load it into a process that trains nothing.
_NVIDIA_GPU = Path("/dev/nvidia0")


@dataclass(frozen=True, slots=True)
class TrainWithRoom:
    """A handler that trains, once there is room for it: better a sentence now than a killed worker in an hour."""

    look: Callable[[], Room]
    train: Handler

    def __call__(self, inputs: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
        """Train.

        Raises:
            UnavailableError: If memory, disk or open files will not do; the job is tried again later.
        """
        found = self.look().shortfalls
        if found:
            raise UnavailableError(" ".join(found))
        return self.train(inputs, context)


def room_for_training(core: Core) -> Room:
    """Return the room for a training on the newest snapshot, with the parameters as they are now."""
    params, root = core.params, core.settings.root
    base = find_base(params.model.base, core.weights_folders)
    with core.units(read_only=True) as work:
        newest = work.snapshots.latest()
    n_images = sum(int(split["images"]) for split in newest.counts.values()) if newest else 0
    size = TrainingSize(
        n_images=n_images,
        # Images are linked within one file system: only a store elsewhere costs space. Its size is not asked for.
        image_bytes=0,
        image_size=params.model.image_size,
        batch_size=params.training.batch_size,
        weights_bytes=_weights_bytes(base.model),
        is_on_gpu=_NVIDIA_GPU.exists(),
    )
    return Room(needs(size), present_resources(root))


def _weights_bytes(model: str) -> int:
    return int(YOLO11N_WEIGHTS_BYTES) if model == ARCHITECTURE else Path(model).stat().st_size
