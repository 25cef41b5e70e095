"""Tell a pricing service what photos of a car show: damages, "none", or honestly that it can't be told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Any

from damageloop.domain import feature_text
from damageloop.domain.answer import DamageAnswer, DamageFound, FileError, ImageAnswer, answer_to_json, image_to_json
from damageloop.domain.drift.bounds import DriftBounds
from damageloop.domain.evidence import Evidence
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
from damageloop.domain.prediction import Detection, DetectorAnswer, current_detections
from damageloop.domain.served_image import ServedImage, reduced
from damageloop.domain.severity import area_share
from damageloop.errors import InvalidImageError, InvalidInputError
from damageloop.ports import Clock, ImageReader
from damageloop.services.serving.evidence_log import EvidenceLog
from damageloop.services.serving.serving_champion import ChampionSource, Serving
from damageloop.services.serving.valuation_rules import severity_rules
from damageloop.serving_params import ServingParams


def no_drift() -> DriftBounds:
    """Return bounds that no photo is beyond."""
    return DriftBounds({})


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
class PhotoSeen:
    """What one photo shows, and what is remembered of it beside the answer.

    Attributes:
        embedding: Of the photo, as `feature_text` writes it; None where the model did not look at it.
        features: The same of each detection in the answer; None where the model gives none.
        reduced: The embedding, reduced for the watch over drift.
        top_score: Highest class score of any anchor.
        latency_ms: What decoding and looking took.
        content: The file as it was sent.
    """

    answer: ImageAnswer
    sha256: str
    embedding: str | None = None
    features: tuple[str | None, ...] = ()
    reduced: str | None = None
    top_score: float | None = None
    latency_ms: float = 0.0
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class AnswerDamage:
    """Answers and remembers the evidence, so that the same answer can be given again. Safe to call from threads.

    `former_names` returns what classes were called before: a model goes on under the names of now. `sampled` is told
    each answered request, by its id and vehicle, with its photos, some of which it may keep. `drift` returns the bounds
    of the open drift event: photos beyond them say so by flags, and with `none_is_unsure` are never answered "None".
    """

    champion: ChampionSource
    reader: ImageReader
    evidence: EvidenceLog
    clock: Clock
    new_id: Callable[[], str]
    params: ServingParams
    former_names: Callable[[], FormerNames] = FormerNames
    sampled: Callable[[str, str | None, Sequence[PhotoSeen]], None] | None = None
    drift: Callable[[], DriftBounds] = no_drift
    none_is_unsure: Callable[[], bool] = lambda: True

    def __call__(self, files: Sequence[tuple[str, bytes]], vehicle_id: str | None = None) -> dict[str, Any]:
        """Return the answer to photos of one car, given as (filename, content), as `answer_to_json` writes it.

        One photo after another, for programs that answer once; a server has `Predictions`.

        Raises:
            InvalidInputError: If there is no file, or more than the limit.
            NoReadableImageError: If not one file can be decoded.
            NoChampionError: If no model serves.
        """
        self.check_number(len(files))
        # One reference for the whole request: a promotion in between changes nothing for it.
        serving = self.champion.current()
        return self.sum_up(serving, [self.look_at(serving, *file) for file in files], vehicle_id)

    def check_number(self, n_files: int) -> None:
        """Raise InvalidInputError where a request may not have so many photos."""
        if not 1 <= n_files <= self.params.max_images_per_request:
            raise InvalidInputError(
                f"Send 1 to {self.params.max_images_per_request} photos; this request has {n_files}."
            )

    def look_at(self, serving: Serving, filename: str, content: bytes) -> PhotoSeen:
        """Return what one photo shows; one that can't be decoded has an error instead."""
        began = perf_counter()
        seen = self._seen(serving, filename, content)
        return replace(seen, latency_ms=(perf_counter() - began) * 1000.0, content=content)

    def _seen(self, serving: Serving, filename: str, content: bytes) -> PhotoSeen:
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            photo = self.reader.read(content, serving.manifest.image_size)
        except InvalidImageError as exc:
            return PhotoSeen(ImageAnswer(filename, error=FileError(exc.code, str(exc))), sha256)
        size_wh, quality = photo.size_wh, self.reader.quality(photo.pixels)
        rules = outcome_rules(self.params)
        flags = quality_flags(quality, size_wh, rules)
        if not is_usable(flags):
            return PhotoSeen(ImageAnswer(filename, size_wh, Outcome.UNUSABLE_IMAGE, None, quality, flags), sha256)
        seen = serving.detector.detect(photo.pixels, size_wh)
        damages, features = self._damages(serving, seen, size_wh)
        outcome, probability = image_outcome(len(damages), seen.top_score, serving.manifest.none_calibration, rules)
        drifted = self.drift().flags(size_wh, quality)
        if drifted and outcome is Outcome.NONE and self.none_is_unsure():
            # What such photos with nothing in sight are worth was never measured.
            outcome = Outcome.UNSURE
        flags = (*flags, *(flag for flag in drifted if flag not in flags))
        answer = ImageAnswer(filename, size_wh, outcome, probability, quality, flags, damages)
        kept, small = feature_text.encode(seen.embedding), feature_text.encode(reduced(seen.embedding))
        return PhotoSeen(answer, sha256, kept, features, small, seen.top_score)

    def sum_up(
        self,
        serving: Serving,
        photos: Sequence[PhotoSeen],
        vehicle_id: str | None = None,
        api_key_id: int | None = None,
    ) -> dict[str, Any]:
        """Return the answer to a request whose photos were looked at, and have its evidence kept.

        Raises:
            NoReadableImageError: If not one file could be decoded.
            UnavailableError: If the evidence finds no room.
        """
        images, now = tuple(photo.answer for photo in photos), self.clock.now()
        decoded = [(image.outcome, image.none_probability) for image in images if image.outcome is not None]
        version = serving.manifest.model_version
        if not decoded:
            raise NoReadableImageError(version, images)
        outcome, probability = request_outcome([o for o, _ in decoded], [p for _, p in decoded])
        answer = DamageAnswer(self.new_id(), version, outcome, probability, images, serving.since)
        content = self._content(serving, answer_to_json(answer), photos, vehicle_id)
        served = _served(answer, photos, api_key_id, now)
        self.evidence.add(Evidence(answer.request_id, version, content, api_key_id, now, served))
        if self.sampled is not None:
            self.sampled(answer.request_id, vehicle_id, photos)
        given: dict[str, Any] = content["answer"]
        return given

    def again(self, request_id: str) -> dict[str, Any]:
        """Return an earlier answer exactly as it was given. Raises NotFoundError."""
        answer: dict[str, Any] = self.evidence.get(request_id)["answer"]
        return answer

    def _damages(
        self, serving: Serving, seen: DetectorAnswer, size_wh: tuple[int, int]
    ) -> tuple[tuple[DamageFound, ...], tuple[str | None, ...]]:
        """Return what reaches its threshold under its present name, with the features of each."""
        damages: list[DamageFound] = []
        features: list[str | None] = []
        former, rows = self.former_names(), seen.box_features
        for number, found in enumerate(seen.detections):
            kept = above_threshold([found], serving.manifest.thresholds, self.params.default_threshold)
            for named in current_detections(kept, former):
                damages.append(self._damage(named, size_wh))
                features.append(None if rows is None else feature_text.encode(rows[number]))
        return tuple(damages), tuple(features)

    def _damage(self, found: Detection, size_wh: tuple[int, int]) -> DamageFound:
        share = area_share(found.box, size_wh)
        severity = severity_rules(self.params).severity(found.damage_class, share)
        return DamageFound(found.damage_class, found.confidence, found.box, share, severity)

    def _content(
        self, serving: Serving, answer: dict[str, Any], photos: Sequence[PhotoSeen], vehicle_id: str | None
    ) -> dict[str, Any]:
        return {
            "answer": answer,
            "vehicle_id": vehicle_id,
            "image_sha256": [photo.sha256 for photo in photos],
            "thresholds": serving.manifest.thresholds,
            "default_threshold": self.params.default_threshold,
            # As computed: an engine may run a release in another precision than it was made for.
            "precision": serving.detector.manifest.precision,
            "damage_prevalence": self.params.damage_prevalence,
            "photos": [{"embedding": photo.embedding, "features": list(photo.features)} for photo in photos],
        }


def _served(
    answer: DamageAnswer, photos: Sequence[PhotoSeen], api_key_id: int | None, now: datetime
) -> tuple[ServedImage, ...]:
    """Return what is remembered of the decoded photos."""
    return tuple(
        ServedImage(
            request_id=answer.request_id,
            position=position,
            answered_at=now,
            model_version=answer.model_version,
            api_key_id=api_key_id,
            sha256=photo.sha256,
            size_wh=seen.size_wh,
            quality=seen.quality,
            flags=seen.flags,
            outcome=seen.outcome,
            none_probability=seen.none_probability,
            top_score=photo.top_score,
            confidences=tuple((found.damage_class, found.confidence) for found in seen.detections),
            embedding=photo.reduced,
            latency_ms=photo.latency_ms,
        )
        for position, photo in enumerate(photos)
        if (seen := photo.answer).size_wh is not None and seen.quality is not None and seen.outcome is not None
    )


def outcome_rules(params: ServingParams) -> OutcomeRules:
    """Return the rules that `serving` in params.yaml sets."""
    return OutcomeRules(
        none_probability_min=params.none_probability_min,
        min_calibration_images=params.min_calibration_images,
        dark_brightness=params.dark_brightness,
        min_brightness=params.min_brightness,
        min_sharpness=params.min_sharpness,
        min_side_px=params.min_side_px,
        damage_prevalence=params.damage_prevalence,
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
