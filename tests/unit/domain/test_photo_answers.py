"""False alarms on clean photos, whole photos and crops apart."""

from __future__ import annotations

import pytest

from damageloop.domain.outcome import Outcome
from damageloop.domain.photo_answers import AnsweredPhoto, PhotoKind, answer_shares, common_sizes, photo_kind
from damageloop.domain.resampling import group_weights

D, N, S, X = Outcome.DAMAGED, Outcome.NONE, Outcome.UNSURE, Outcome.UNUSABLE_IMAGE
WHOLE, CROP = PhotoKind.WHOLE, PhotoKind.CROP


def photo(number: int, kind: PhotoKind, is_damaged: bool, outcome: Outcome) -> AnsweredPhoto:
    return AnsweredPhoto(f"car-{number}", kind, is_damaged, outcome)


def test_a_size_that_many_images_share_either_way_up_is_a_whole_photos() -> None:
    sizes = [(640, 480)] * 2 + [(480, 640)] + [(301, 333), (333, 302)] + [(1280, 960)] * 95
    common = common_sizes(sizes)
    assert common == {(480, 640), (960, 1280)}
    assert [photo_kind(size, common) for size in ((480, 640), (960, 1280), (301, 333))] == [WHOLE, WHOLE, CROP]


def test_in_a_large_snapshot_a_handful_of_equal_sizes_is_not_common() -> None:
    assert common_sizes([(640, 480)] * 1000 + [(300, 300)] * 19) == {(480, 640)}
    assert common_sizes([(1, 2), (3, 4)]) == frozenset()


def test_false_alarms_are_told_for_whole_photos_and_crops_apart() -> None:
    answered = [D, N, N, S, D, S, X, D, N]
    photos = [photo(i, WHOLE if i < 4 else CROP, i >= 7, outcome) for i, outcome in enumerate(answered)]
    found = answer_shares(photos, group_weights([p.group for p in photos], 200, 0))
    clean = found["clean"]

    def shares(kind: str) -> dict[str, float]:
        return {name: clean[kind][name]["value"] for name in ("damaged", "none", "unsure", "unusable_image")}

    assert shares("whole") == {"damaged": 0.25, "none": 0.5, "unsure": 0.25, "unusable_image": 0.0}
    assert shares("crop")["damaged"] == pytest.approx(1 / 3, abs=1e-4)
    assert clean["all"]["damaged"]["value"] == pytest.approx(2 / 7, abs=1e-4)
    assert (clean["all"]["images"], clean["whole"]["images"], clean["crop"]["images"]) == (7, 4, 3)
    assert found["damaged"]["all"]["none"]["value"] == 0.5
    assert 0.0 < clean["whole"]["damaged"]["low"] < 0.25 < clean["whole"]["damaged"]["high"] < 1.0


def test_without_clean_photos_nothing_is_told_of_false_alarms() -> None:
    photos = [photo(0, WHOLE, True, D)]
    alarm = answer_shares(photos, group_weights(["car-0"], 10, 0))["clean"]["all"]["damaged"]
    assert (alarm["value"], alarm["count"]) == (None, 0)
