"""What the ML backend asks, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from damageloop.domain.prediction import Detection, PreAnnotation


class FakePreAnnotationSource:
    """Answers from a mapping of image id to detections.

    Attributes:
        version: The champion; tests change it as a promotion does.
        broken: Images for which a call raises, with the text that must never leave the backend.
        audited: Images whose answers stay empty.
    """

    def __init__(
        self,
        detections: dict[int, tuple[Detection, ...]],
        version: int | None = 1,
        size_wh: tuple[int, int] = (100, 200),
    ) -> None:
        self.version = version
        self.size_wh = size_wh
        self.detections = detections
        self.broken: dict[int, str] = {}
        self.audited: set[int] = set()
        self.calls: list[list[tuple[int, int]]] = []

    def model_version(self) -> int | None:
        return self.version

    def versions(self) -> list[int]:
        return [] if self.version is None else [self.version, *range(self.version - 1, 0, -1)]

    def pre_annotations(self, tasks: Sequence[tuple[int, int]]) -> list[PreAnnotation | None]:
        self.calls.append(list(tasks))
        for _, image_id in tasks:
            if image_id in self.broken:
                raise RuntimeError(self.broken[image_id])
        return [self._answer(task_id, image_id) for task_id, image_id in tasks]

    def _answer(self, task_id: int, image_id: int) -> PreAnnotation | None:
        if image_id not in self.detections or self.version is None:
            return None
        shown = () if image_id in self.audited else self.detections[image_id]
        return PreAnnotation(task_id, image_id, self.version, 0.5, self.size_wh, shown)
