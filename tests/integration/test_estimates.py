"""Estimates on a real database after real rounds: only the random shares count, and the API tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from damageloop.bootstrap.estimates import Estimates, make_estimates
from damageloop.cli.estimates import estimates_json
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.correction import Gesture
from damageloop.domain.geometry import Box
from damageloop.domain.image import ImageStatus
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import PromotionReason
from damageloop.domain.round import RANDOM_SHARES, ItemState, RoundKind, Share
from damageloop.services.insight.estimate_pool import EstimatePool
from damageloop.services.reviews.reviewed_items import counting_items, reviewed_items
from damageloop.services.snapshots.snapshot_content import labeled_entries, n_labeled
from tests.factories import MOMENT, add_image, make_annotation, make_item
from tests.fakes.clock import FakeClock
from tests.fakes.database import sqlite_units
from tests.fakes.photos import make_params
from tests.integration.api_world import ApiWorld
from tests.integration.loop_world import LoopWorld, new_world


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopWorld]:
    """Yield an installation after an audit round and most of a query round, a challenger promoted; only to read."""
    with new_world(tmp_path_factory.mktemp("loop")) as found:
        found.register_base()
        found.settle()
        found.annotate()
        found.settle()
        found.annotate(8)
        found.settle()
        yield found


def estimates_of(world: LoopWorld) -> Estimates:
    return make_estimates(world.units, world.outside.releases, world.params)


def reviewed_by_share(world: LoopWorld) -> dict[Share, int]:
    items = [i for r in (1, 2) for i in world.items(r) if i.state is ItemState.REVIEWED]
    return {share: sum(i.share is share for i in items) for share in Share}


def test_only_the_random_shares_are_estimated_from(looped: LoopWorld) -> None:
    counts, pool = reviewed_by_share(looped), estimates_of(looped).estimate_pool()
    assert counts[Share.CHOSEN] > 0
    assert pool.damaged.n + pool.left_out == counts[Share.EXPLORED] + counts[Share.AUDITED]
    assert pool.pre_labels.changed.n == counts[Share.EXPLORED]
    assert pool.damaged.value is not None
    assert pool.damaged.low is not None
    assert pool.damaged.high is not None
    # Every second photo is damaged.
    assert pool.damaged.low <= 0.5 <= pool.damaged.high


def test_the_promoted_model_finds_everything_on_audited_images(looped: LoopWorld) -> None:
    champion = estimates_of(looped).estimate_pool().champion
    assert champion.version == looped.champion() == 2
    assert (champion.recall.value, champion.precision.value) == (1.0, 1.0)
    assert champion.recall.low is not None
    assert champion.recall.low < 1.0


def test_what_the_base_showed_is_judged_by_what_it_showed(looped: LoopWorld) -> None:
    """The base shows a wrong box on every third photo: people rejected it, and drew each damage themselves."""
    pre_labels = estimates_of(looped).estimate_pool().pre_labels
    explored = [i.image_id for i in looped.items(2) if i.share is Share.EXPLORED and i.state is ItemState.REVIEWED]
    assert explored
    has_shown, has_damage = any(n % 3 == 0 for n in explored), any(n % 2 for n in explored)
    assert pre_labels.rejected.value == (1.0 if has_shown else None)
    assert pre_labels.accepted.value == (0.0 if has_shown else None)
    assert pre_labels.missed.value == (1.0 if has_damage else None)


def test_a_promotion_in_the_middle_of_a_round_changes_what_people_saw(tmp_path: Path) -> None:
    clock, box = FakeClock(), LabeledBox("dent", Box(10, 10, 50, 50))
    with sqlite_units(tmp_path, clock) as units, units() as work:
        ids = [add_image(work, number).id for number in (1, 2)]
        for version, confidence in ((1, 0.1), (2, 0.9)):
            work.models.allot(f"key-{version}", None, clock.now())
            found = (Detection("dent", confidence, box.box, (0.1, confidence)),)
            work.predictions.add_many([Prediction(i, version, found, confidence) for i in ids], clock.now())
        work.models.promote(1, None, None, PromotionReason.FIRST_MODEL, MOMENT)
        work.models.promote(2, 1, None, PromotionReason.GATE, MOMENT + timedelta(minutes=10))
        items = [replace(make_item(i, rank), state=ItemState.REVIEWED) for rank, i in enumerate(ids)]
        work.rounds.add(1, RoundKind.QUERY, "entropy", 1, 0, MOMENT, items)
        for image_id, minutes in zip(ids, (5, 15), strict=True):
            at = MOMENT + timedelta(minutes=minutes)
            work.annotations.upsert(replace(make_annotation(image_id, str(image_id), updated_at=at), boxes=(box,)))
        before, after = reviewed_items(work, make_params())
        # Version 1 lies below the display threshold.
        assert (before.shown, after.shown) == ((), (box,))
        assert before.corrections == {(Gesture.DRAWN, "dent"): 1}
        assert after.corrections == {(Gesture.ACCEPTED, "dent"): 1}


def test_a_second_look_leaves_an_image_in_the_draw_that_it_came_from(tmp_path: Path) -> None:
    with sqlite_units(tmp_path, FakeClock()) as units, units() as work:
        drawn, chosen = (add_image(work, number).id for number in (1, 2))
        first = [
            replace(make_item(drawn), share=Share.EXPLORED, probability=0.1, state=ItemState.REVIEWED),
            replace(make_item(chosen, 1), state=ItemState.REVIEWED),
        ]
        again = [replace(i, share=Share.PRIORITY, probability=None, state=ItemState.REVIEWED) for i in first]
        for number, items in ((1, first), (2, again)):
            work.rounds.add(number, RoundKind.QUERY, "entropy", None, 0, MOMENT, items)
        for image_id in (drawn, chosen):
            work.annotations.upsert(make_annotation(image_id, str(image_id)))
        found = reviewed_items(work, make_params())
        assert [(i.round_id, i.item.share, i.item.probability) for i in found] == [
            (1, Share.EXPLORED, 0.1),
            (2, Share.PRIORITY, None),
        ]


def test_what_left_its_split_is_estimated_from_no_more(tmp_path: Path) -> None:
    with sqlite_units(tmp_path, FakeClock()) as units:
        with units() as work:
            ids = [add_image(work, number).id for number in (1, 2)]
            items = [
                replace(make_item(i, rank), share=Share.EXPLORED, probability=0.5, state=ItemState.REVIEWED)
                for rank, i in enumerate(ids)
            ]
            work.rounds.add(1, RoundKind.QUERY, "entropy", None, 0, MOMENT, items)
            for image_id in ids:
                work.annotations.upsert(make_annotation(image_id, str(image_id)))
            work.images.exclude_leaks(ids[:1])
            work.commit()
        pool = EstimatePool(units, lambda version: {}, make_params())()
        assert (pool.damaged.n, pool.left_out) == (1, 0)


def test_the_log_is_fitted_and_advice_needs_more_models(looped: LoopWorld) -> None:
    estimates = estimates_of(looped)
    times, stopping = estimates.review_times(), estimates.advise_stopping()
    assert times.n_reviews == sum(reviewed_by_share(looped).values())
    assert times.total_s == pytest.approx(7.5 * times.n_reviews)
    assert stopping.advice.value == "unknown"
    # All work was logged before the one snapshot.
    assert [(p.model_version, p.review_seconds) for p in stopping.points] == [(2, times.total_s)]
    assert any("min_gain_per_hour" in reason for reason in stopping.reasons)


def test_status_says_it_in_sentences(looped: LoopWorld) -> None:
    estimates = estimates_of(looped)
    told = estimates_json(estimates.kpis(), estimates.advise_stopping())
    assert len(told["sentences"]) == 3
    assert "of the photos are damaged" in told["sentences"][0]
    assert "7.5 s a photo with pre-labels" in told["sentences"][1]


def test_estimating_changes_nothing(looped: LoopWorld) -> None:
    before = looped.state()
    estimates_of(looped).kpis()
    estimates_of(looped).advise_stopping()
    assert looped.state() == before


# --- HTTP -------------------------------------------------------------------------------------------------------


def test_a_new_platform_says_that_it_knows_nothing(world: ApiWorld) -> None:
    client = world.client(Scope.REVIEW)
    kpis, stopping = client.get("/v1/kpis"), client.get("/v1/stopping")
    assert (kpis.status_code, stopping.status_code) == (200, 200), kpis.text + stopping.text
    assert kpis.json()["damaged_share"] == {"value": None, "low": None, "high": None, "n": 0, "n_groups": 0}
    assert kpis.json()["seconds_by_action"][0]["action"] == "photo"
    answer = stopping.json()
    assert set(answer) >= {"advice", "sentence", "gain_per_hour", "points", "recall", "reasons"}
    assert (answer["advice"], answer["gain_per_hour"], answer["points"]) == ("unknown", None, [])


def test_a_champion_without_audited_images_has_no_recall_yet(world: ApiWorld) -> None:
    world.promote()
    champion = world.client(Scope.REVIEW).get("/v1/kpis").json()["champion"]
    assert champion["version"] == "1"
    assert champion["recall"]["value"] is None


@pytest.mark.parametrize("route", ["/v1/kpis", "/v1/stopping"])
def test_figures_are_for_those_who_review(world: ApiWorld, route: str) -> None:
    assert world.client(Scope.PREDICT).get(route).status_code == 403


def test_labeled_images_are_counted_as_a_snapshot_would_take_them(looped: LoopWorld, tmp_path: Path) -> None:
    with looped.units(read_only=True) as work:
        assert n_labeled(work, looped.params) == len(labeled_entries(work, looped.params)) > 0
    with sqlite_units(tmp_path, FakeClock()) as units, units() as work:
        ids = [add_image(work, number).id for number in range(1, 8)]
        skipped = replace(make_annotation(ids[1], "b"), verdict=Verdict.SKIPPED, boxes=())
        later = make_annotation(ids[2], "d", updated_at=MOMENT + timedelta(minutes=1))
        unusable = replace(later, verdict=Verdict.UNUSABLE, boxes=(), image_id=ids[3], external_id="f")
        for each in (make_annotation(ids[0], "a"), skipped, make_annotation(ids[2], "c"), later):
            work.annotations.upsert(each)
        for each in (
            make_annotation(ids[3], "e"),
            unusable,
            make_annotation(ids[4], "g"),
            make_annotation(ids[5], "h"),
        ):
            work.annotations.upsert(each)
        work.annotations.tombstone("label-studio", ["g"])
        work.images.exclude_leaks(ids[5:6])
        # One alone, and one of whom two people say the same.
        assert n_labeled(work, make_params()) == len(labeled_entries(work, make_params())) == 2


def test_drawn_images_are_brought_together_as_all_images_would_be(looped: LoopWorld) -> None:
    pool = estimates_of(looped).estimate_pool
    with looped.units(read_only=True) as work:
        every = counting_items(work, looped.params, reviewed_items(work, looped.params))
        wanted = [i for i in every if i.item.share in RANDOM_SHARES and i.image.status is ImageStatus.ACTIVE]
        assert pool._drawn(work) == wanted
    assert 0 < len(wanted) < len(every)
