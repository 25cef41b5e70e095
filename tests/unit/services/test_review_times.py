"""Review times from reviewed items: what counts as work, and what pre-labels saved on the same photos."""

from __future__ import annotations

from datetime import timedelta

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.promotion import ModelVersion
from damageloop.domain.round import ItemState, RoundItem, Share
from damageloop.domain.snapshot import Snapshot
from damageloop.services.insight.advise_stopping import CurvePoint, curve_points
from damageloop.services.reviews.review_times import LoggedReview, logged_reviews, report_of
from damageloop.services.reviews.reviewed_items import ReviewedItem
from tests.factories import MOMENT
from tests.fakes.photos import make_image, make_params

PARAMS = make_params()
DENT, SCRATCH = LabeledBox("dent", Box(0, 0, 50, 50)), LabeledBox("scratch", Box(60, 0, 90, 50))


def reviewed(
    number: int,
    left: tuple[LabeledBox, ...] = (DENT,),
    shown: tuple[LabeledBox, ...] = (DENT,),
    seconds: float | None = 10.0,
    share: Share = Share.CHOSEN,
    round_id: int = 1,
    minutes: float = 0.0,
) -> ReviewedItem:
    verdict = Verdict.DAMAGED if left else Verdict.CLEAN
    at = MOMENT + timedelta(minutes=minutes)
    annotation = Annotation(number, verdict, left, "label-studio", f"{number}-{minutes}", "ann", at, seconds)
    item = RoundItem(number, share, number, 0.1, "for a test", state=ItemState.REVIEWED)
    return ReviewedItem(round_id, item, make_image(number), annotation, (), shown)


def test_without_reviews_there_are_no_figures_but_the_prior() -> None:
    report = report_of([], PARAMS)
    assert (report.n_reviews, report.total_s, report.saved_per_image, report.by_round) == (0, 0.0, None, ())
    assert report.with_pre_labels.value is None
    assert [(a.action, a.seconds) for a in report.actions][-1] == ("draw", pytest.approx(10.0))


def test_what_an_accepted_box_saves_by_the_prior() -> None:
    # No time was logged: drawn it takes 10 s, accepted 1.6 s.
    report = report_of([reviewed(1, seconds=None), reviewed(2, seconds=None)], PARAMS)
    assert report.saved_per_image is not None
    assert report.saved_per_image.seconds == pytest.approx(8.4)
    assert report.from_scratch_s == pytest.approx(16.0)
    assert [(s.name, s.n, round(s.seconds, 6)) for s in report.by_round] == [("1", 2, 16.8)]
    assert [(s.name, s.n, round(s.seconds, 6)) for s in report.by_class] == [("scratch", 0, 0.0), ("dent", 2, 16.8)]


def test_a_false_pre_label_costs_time_under_its_class() -> None:
    report = report_of([reviewed(1, left=(), shown=(SCRATCH,), seconds=None)], PARAMS)
    assert {s.name: round(s.seconds, 6) for s in report.by_class} == {"scratch": -1.5, "dent": 0.0}


def test_audited_images_are_the_manual_arm_and_save_nothing() -> None:
    items = [reviewed(n, shown=(), share=Share.AUDITED, seconds=16.0 + n % 2) for n in range(4)]
    items += [reviewed(n, seconds=8.0, share=Share.EXPLORED) for n in range(4, 8)]
    report = report_of(items, PARAMS)
    assert (report.without_pre_labels.value, report.without_pre_labels.n) == (16.5, 4)
    assert report.with_pre_labels.value == report.explored.value == 8.0
    assert sum(s.n for s in report.by_round) == 4


def test_a_lunch_break_is_no_work() -> None:
    report = report_of([reviewed(1, seconds=3600.0)], PARAMS)
    # The photo and an accepted box are expected to take 7.6 s, and 60 s more are believed.
    assert report.total_s == pytest.approx(67.6)
    assert [r.seconds for r in logged_reviews([reviewed(1, seconds=0.0), reviewed(2)], PARAMS)] == [10.0]


def test_logged_times_move_the_seconds_away_from_the_prior() -> None:
    items = [reviewed(n, left=(DENT,) * (n % 3), shown=(), seconds=5.0 + 20.0 * (n % 3)) for n in range(90)]
    draw = report_of(items, PARAMS).actions[-1]
    assert draw.seconds == pytest.approx(20.0, abs=1.5)
    assert draw.low < draw.seconds < draw.high
    assert draw.n_reviews == 60


# --- points of the learning curve -------------------------------------------------------------------------------


def model(version: int, snapshot_id: int | None, map50: float | None = 0.5) -> ModelVersion:
    metrics = {} if map50 is None else {"test": {"map50": map50, "groups": 25}}
    return ModelVersion(version, snapshot_id, f"key-{version}", "run", "1", metrics, MOMENT)


def snapshot(number: int, minutes: float) -> Snapshot:
    counts = {"train": {"images": 10 * number, "boxes": {"dent": 3, "scratch": 4}}}
    at = MOMENT + timedelta(minutes=minutes)
    return Snapshot(number, f"snapshot-{number}", "c", "h", None, counts, "r", "l", "p", at)


REVIEWS = [LoggedReview(MOMENT + timedelta(minutes=m), 30.0) for m in (1, 2, 11)]
SNAPSHOTS = {1: snapshot(1, 5), 2: snapshot(2, 15)}


def test_a_point_counts_the_work_before_its_snapshot() -> None:
    points = curve_points([model(3, 2, 0.4), model(2, 1)], SNAPSHOTS, REVIEWS)
    assert points[0] == CurvePoint(2, 1, 60.0, 10, 7, 0.5, deviation=0.1)
    assert (points[1].review_seconds, points[1].images) == (90.0, 20)
    assert points[1].deviation == pytest.approx((0.4 * 0.6 / 25) ** 0.5)


def test_a_base_a_model_without_figures_and_unpaid_work_are_no_points() -> None:
    assert curve_points([model(1, None), model(2, 1, None)], SNAPSHOTS, REVIEWS) == ()
    assert curve_points([model(2, 1)], SNAPSHOTS, []) == ()


def test_of_two_models_on_the_same_work_the_newer_counts() -> None:
    assert [p.model_version for p in curve_points([model(3, 1), model(2, 1)], SNAPSHOTS, REVIEWS)] == [3]


def test_a_metric_of_nothing_is_not_taken_for_certain() -> None:
    (point,) = curve_points([model(2, 1, 0.0)], SNAPSHOTS, REVIEWS)
    # As one half of a group of 25.
    assert point.deviation == pytest.approx((0.02 * 0.98 / 25) ** 0.5)
