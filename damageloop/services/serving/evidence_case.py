"""From the evidence of answers to what a valuation is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from damageloop.domain import feature_text
from damageloop.domain.labels import FormerNames
from damageloop.domain.outcome import Outcome
from damageloop.domain.valuation.seen import Likeness, Look, SeenDamage, SeenPhoto, likenesses

Evidence = Mapping[str, Any]


def what_was_seen(
    evidences: Sequence[Evidence], former: FormerNames
) -> tuple[tuple[SeenPhoto, ...], tuple[Likeness, ...]]:
    """Return the photos of all answers in their order, under the class names of now, and which damages look alike.

    Evidence from before features were kept tells nothing of likeness.
    """
    photos: list[SeenPhoto] = []
    looks: list[Look] = []
    for evidence in evidences:
        kept = evidence.get("photos") or []
        for number, image in enumerate(evidence["answer"]["images"]):
            found = _current(image["detections"], former)
            outcome = Outcome(image["outcome"]) if image["outcome"] else None
            damages = tuple(SeenDamage(name, each["area_share"]) for name, _, each in found)
            if number < len(kept):
                looks += _looks(len(photos), image, found, kept[number])
            photos.append(SeenPhoto(evidence["image_sha256"][number], outcome, damages))
    return tuple(photos), likenesses(looks)


# A detection's class as it is called now, its number in the answer, and itself.
_Named = tuple[str, int, Mapping[str, Any]]


def _current(detections: Sequence[Mapping[str, Any]], former: FormerNames) -> list[_Named]:
    named = ((former.current(each["damage_class"]), number, each) for number, each in enumerate(detections))
    return [(name, number, each) for name, number, each in named if name is not None]


def _looks(photo: int, image: Mapping[str, Any], found: Sequence[_Named], kept: Mapping[str, Any]) -> list[Look]:
    embedding, features = kept.get("embedding"), kept.get("features") or []
    if embedding is None:
        return []
    view, size_wh = feature_text.decode(embedding), (image["width"], image["height"])
    return [
        Look((photo, place), name, feature_text.decode(features[number]), view, _centre(each["box"], size_wh))
        for place, (name, number, each) in enumerate(found)
        if number < len(features) and features[number] is not None
    ]


def _centre(box: Mapping[str, float], size_wh: tuple[int, int]) -> tuple[float, float]:
    across, down = (box["x_min"] + box["x_max"]) / 2, (box["y_min"] + box["y_max"]) / 2
    return across / size_wh[0], down / size_wh[1]
