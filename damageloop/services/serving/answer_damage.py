"""Tell a pricing service what photos of a car show: damages, "none", or honestly that it can't be told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from damageloop.domain.answer import DamageAnswer, DamageFound, FileError, ImageAnswer, answer_to_json, image_to_json
from damageloop.domain.labels import FormerNames
from damageloop.domain.outcome import (
    Outcome,
    OutcomeRules,
    above_threshold,
    image_outcome,
    is_usable,
    quality_flags,
    request_outcome,
)
from damageloop.domain.prediction import Detection, current_detections
from damageloop.domain.severity import area_share, severity_of
from damageloop.errors import InvalidImageError, InvalidInputError
from damageloop.ports import Clock, ImageReader, Photo
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.serving.serving_champion import ChampionSource, Serving
from damageloop.serving_params import ServingParams


class NoReadableImageError(InvalidInputError):
    """Not one file of a request could be decoded.

    Attributes:
        model_version: What would have answered.
        images: One entry for each file, with its error.
    """

    code = "no_readable_image"

    def __init__(self, model_version: int, images: tuple[ImageAnswer, ...]) -> None:
        super().__init__("None of the files could be read as an image; `images` says why for each.")
        self.model_version = model_version
        self.images = images


@dataclass(frozen=True, slots=True)
class AnswerDamage:
    """Answers and remembers the evidence, so that the same answer can be given again. Safe to call from threads.

    `former_names` returns what classes were called before: a model goes on under the names of now.
    """

    units: UnitOfWorkFactory
    champion: ChampionSource
    reader: ImageReader
    clock: Clock
    new_id: Callable[[], str]
    params: ServingParams
    former_names: Callable[[], FormerNames] = FormerNames

    def __call__(self, files: Sequence[tuple[str, bytes]], vehicle_id: str | None = None) -> dict[str, Any]:
        """Return the answer to photos of one car, given as (filename, content), as `answer_to_json` writes it.

        Raises:
            InvalidInputError: If there is no file, or more than the limit.
            NoReadableImageError: If not one file can be decoded.
            NoChampionError: If no model serves.
        """
        if not 1 <= len(files) <= self.params.max_images_per_request:
            raise InvalidInputError(
                f"Send 1 to {self.params.max_images_per_request} photos; this request has {len(files)}."
            )
        # One reference for the whole request: a promotion in between changes nothing for it.
        serving = self.champion.current()
        images = tuple(self._look_at(serving, name, content) for name, content in files)
        answer = self._sum_up(serving, images)
        content = answer_to_json(answer)
        self._remember(serving, answer, content, files, vehicle_id)
        return content

    def again(self, request_id: str) -> dict[str, Any]:
        """Return an earlier answer exactly as it was given. Raises NotFoundError."""
        with self.units(read_only=True) as work:
            answer: dict[str, Any] = work.evidence.get(request_id)["answer"]
        return answer

    def _look_at(self, serving: Serving, filename: str, content: bytes) -> ImageAnswer:
        try:
            photo = self.reader.read(content, serving.manifest.image_size)
        except InvalidImageError as exc:
            return ImageAnswer(filename, error=FileError(exc.code, str(exc)))
        size_wh, quality = photo.size_wh, self.reader.quality(photo.pixels)
        rules = outcome_rules(self.params)
        flags = quality_flags(quality, size_wh, rules)
        if not is_usable(flags):
            return ImageAnswer(filename, size_wh, Outcome.UNUSABLE_IMAGE, None, quality, flags)
        damages, top_score = self._damages(serving, photo)
        outcome, probability = image_outcome(len(damages), top_score, serving.manifest.none_calibration, rules)
        return ImageAnswer(filename, size_wh, outcome, probability, quality, flags, damages)

    def _damages(self, serving: Serving, photo: Photo) -> tuple[tuple[DamageFound, ...], float]:
        seen = serving.detector.detect(photo.pixels, photo.size_wh)
        kept = above_threshold(seen.detections, serving.manifest.thresholds, self.params.default_threshold)
        named = current_detections(kept, self.former_names())
        return tuple(self._damage(detection, photo.size_wh) for detection in named), seen.top_score

    def _damage(self, found: Detection, size_wh: tuple[int, int]) -> DamageFound:
        share = area_share(found.box, size_wh)
        severity = severity_of(share, self.params.severity_moderate_from, self.params.severity_severe_from)
        return DamageFound(found.damage_class, found.confidence, found.box, share, severity)

    def _sum_up(self, serving: Serving, images: tuple[ImageAnswer, ...]) -> DamageAnswer:
        decoded = [(image.outcome, image.none_probability) for image in images if image.outcome is not None]
        if not decoded:
            raise NoReadableImageError(serving.manifest.model_version, images)
        outcome, probability = request_outcome([o for o, _ in decoded], [p for _, p in decoded])
        return DamageAnswer(self.new_id(), serving.manifest.model_version, outcome, probability, images)

    def _remember(
        self,
        serving: Serving,
        answer: DamageAnswer,
        content: dict[str, Any],
        files: Sequence[tuple[str, bytes]],
        vehicle_id: str | None,
    ) -> None:
        evidence = {
            "answer": content,
            "vehicle_id": vehicle_id,
            "image_sha256": [hashlib.sha256(file).hexdigest() for _, file in files],
            "thresholds": serving.manifest.thresholds,
            "default_threshold": self.params.default_threshold,
            "precision": serving.manifest.precision,
        }
        with self.units() as work:
            work.evidence.add(answer.request_id, answer.model_version, evidence, self.clock.now())
            work.commit()


def outcome_rules(params: ServingParams) -> OutcomeRules:
    """Return the rules that `serving` in params.yaml sets."""
    return OutcomeRules(
        none_probability_min=params.none_probability_min,
        min_calibration_images=params.min_calibration_images,
        dark_brightness=params.dark_brightness,
        min_brightness=params.min_brightness,
        min_sharpness=params.min_sharpness,
        min_side_px=params.min_side_px,
    )


def answer_unreadable(error: NoReadableImageError) -> dict[str, Any]:
    """Return the answer's form for a request of which nothing could be read: without outcome, and not remembered."""
    return {
        "request_id": None,
        "model_version": str(error.model_version),
        "outcome": None,
        "none_probability": None,
        "images": [image_to_json(image) for image in error.images],
    }
