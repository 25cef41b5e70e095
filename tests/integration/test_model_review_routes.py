"""Figures, comparisons, errors and refusals of model versions over HTTP, on val images that a test has drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from damageloop.domain.annotation import Annotation, LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.key import Scope
from damageloop.domain.prediction import Detection, Prediction
from damageloop.domain.promotion import DecisionKind
from damageloop.domain.split import Split
from damageloop.ports.persistence import UnitOfWorkFactory
from damageloop.services.loop.advance_loop import _pending_decision
from tests.factories import MOMENT, add_image
from tests.fakes.detector import make_manifest
from tests.integration.api_world import ApiWorld
from tests.integration.test_api import check_problem

DENT, ELSEWHERE = Box(10, 10, 50, 50), Box(200, 200, 260, 260)


def release(world: ApiWorld, version: int) -> None:
    """Register a version that knows both classes at thresholds of its own."""
    model = world.folder / f"model-{version}.bin"
    model.write_bytes(b"weights")
    with world.units() as work:
        work.models.allot(f"key-{version}", None, MOMENT)
        work.models.record(version, "run", str(version), {})
        work.commit()
    thresholds = {"scratch": 0.5, "dent": 0.3}
    world.releases.publish(version, {"model.bin": model}, replace(make_manifest(version), thresholds=thresholds))


def say(units: UnitOfWorkFactory, version: int, image_id: int, *found: Detection) -> None:
    with units() as work:
        work.predictions.add_many([Prediction(image_id, version, found, 0.9)], MOMENT)
        work.commit()


@pytest.fixture
def val_images(world: ApiWorld) -> list[int]:
    """Two versions; four val images of four vehicles, a dent on the first two; one test and one train image."""
    for version in (1, 2):
        release(world, version)
    ids = []
    with world.units() as work:
        for number, split in enumerate([Split.VAL] * 4 + [Split.TEST, Split.TRAIN], start=1):
            image = add_image(work, number, split)
            is_damaged = number <= 2 or split is not Split.VAL
            boxes = (LabeledBox("dent", DENT),) if is_damaged else ()
            verdict = Verdict.DAMAGED if is_damaged else Verdict.CLEAN
            work.annotations.upsert(
                Annotation(image.id, verdict, boxes, "label-studio", str(number), "ann@example.org", MOMENT)
            )
            ids.append(image.id)
        work.commit()
    return ids


@pytest.fixture
def scored(world: ApiWorld, val_images: list[int]) -> list[int]:
    """The first version finds one dent and has a false alarm; the second finds both, one of them as a scratch."""
    dent, scratch = Detection("dent", 0.9, DENT), Detection("scratch", 0.8, DENT)
    first = [(dent,), (), (Detection("dent", 0.4, ELSEWHERE),), ()]
    second = [(dent,), (scratch,), (), ()]
    for version, answers in ((1, first), (2, second)):
        for image_id, found in zip(val_images, answers, strict=False):
            say(world.units, version, image_id, *found)
        for image_id in val_images[4:]:
            say(world.units, version, image_id)
    return val_images


def test_errors_are_counted_on_val_alone(world: ApiWorld, scored: list[int]) -> None:
    found = world.client(Scope.REVIEW).get("/v1/models/1/errors").json()
    assert found["names"] == ["scratch", "dent", "background"]
    # One dent found, one missed, one false alarm; the dents of test and train are in no cell.
    assert found["boxes"] == [[0, 0, 0], [0, 1, 1], [0, 1, 0]]
    assert (found["counts"]["images"], found["counts"]["clean"], found["counts"]["unseen"]) == (4, 2, 0)
    (whole,) = [kind for kind in found["kinds"] if kind["kind"] == "all"]
    assert (whole["found"], whole["missed"], whole["false_alarm"], whole["wrong_images"]) == (1, 1, 1, 2)


@pytest.mark.parametrize(
    ("version", "truth", "predicted", "place"),
    [(1, "dent", "dent", 0), (1, "dent", "background", 1), (1, "background", "dent", 2), (2, "dent", "scratch", 1)],
)
def test_each_cell_leads_to_its_photos(
    world: ApiWorld, scored: list[int], version: int, truth: str, predicted: str, place: int
) -> None:
    asked = {"truth": truth, "predicted": predicted}
    page = world.client(Scope.REVIEW).get(f"/v1/models/{version}/errors/images", params=asked).json()
    assert [item["image_id"] for item in page["items"]] == [scored[place]]
    assert page["next_after"] is None


def test_a_photo_of_a_cell_has_the_labels_and_the_detections_with_what_became_of_them(
    world: ApiWorld, scored: list[int]
) -> None:
    asked = {"truth": "dent", "predicted": "scratch"}
    (item,) = world.client(Scope.REVIEW).get("/v1/models/2/errors/images", params=asked).json()["items"]
    assert [(t["damage_class"], t["finding"]) for t in item["truths"]] == [("dent", "wrong_class")]
    assert [(d["damage_class"], d["confidence"]) for d in item["detections"]] == [("scratch", 0.8)]


def test_two_versions_are_compared_on_val_with_their_thresholds(world: ApiWorld, scored: list[int]) -> None:
    found = world.client(Scope.REVIEW).get("/v1/models/2/compare/1").json()
    rows = {(r["part"], r["damage_class"], r["figure"]): r for r in found["figures"]}
    recall = rows["all", "dent", "recall"]
    assert (recall["first"], recall["second"], recall["difference"]) == (0.5, 0.5, 0.0)
    assert (recall["first_threshold"], recall["count"]) == (0.3, 2)
    specificity = rows["all", None, "specificity"]
    assert (specificity["first"], specificity["second"], specificity["difference"]) == (1.0, 0.5, 0.5)
    # Four vehicles are too few for limits.
    assert (specificity["low"], found["gate"], found["val_note"]) == (None, None, None)


def test_photos_where_two_versions_differ_are_paged_and_never_of_test(world: ApiWorld, scored: list[int]) -> None:
    client = world.client(Scope.REVIEW)
    page = client.get("/v1/models/1/compare/2/images", params={"limit": 1}).json()
    rest = client.get("/v1/models/1/compare/2/images", params={"limit": 9, "after": page["next_after"]}).json()
    items = [*page["items"], *rest["items"]]
    # Equally much differs; the scratch at 0.8 is surer than the false alarm at 0.4.
    assert [(item["image_id"], item["n_differences"]) for item in items] == [(scored[1], 1), (scored[2], 1)]
    assert items[0]["truths"][0]["found_by"] == []
    assert [d["is_difference"] for d in items[0]["second"]] == [True]
    assert rest["next_after"] is None


def test_a_version_has_figures_thresholds_and_decisions(world: ApiWorld, scored: list[int]) -> None:
    tests = {"recall": {"champion": 0.5, "challenger": 0.6, "difference": 0.1, "lower_limit": 0.05}}
    rest = {"must_be_above": -0.05, "is_met": True, "is_decisive": True, "count": 9, "unit": "boxes"}
    evidence = {"tests": {"recall": {**tests["recall"], **rest, "confidence_level": 0.9}}, "counts": {"images": 12}}
    with world.units() as work:
        work.models.add_decision(1, 2, DecisionKind.PROMOTE, ["Better."], evidence, MOMENT, "ab" * 32)
        work.commit()
    client = world.client(Scope.REVIEW)
    details = client.get("/v1/models/2").json()
    assert details["release"]["thresholds"] == {"scratch": 0.5, "dent": 0.3}
    assert details["val"]["counts"]["images"] == 4
    (judged,) = details["decisions"]
    assert (judged["tests"][0]["name"], judged["tests"][0]["lower_limit"], judged["test_images"]) == (
        "recall",
        0.05,
        12,
    )
    assert client.get("/v1/models/1/compare/2").json()["gate"]["id"] == judged["id"]


def test_a_corrected_label_changes_the_errors(world: ApiWorld, scored: list[int]) -> None:
    client = world.client(Scope.REVIEW)
    assert client.get("/v1/models/1/errors").json()["boxes"][1] == [0, 1, 1]
    with world.units() as work:
        clean = Annotation(scored[1], Verdict.CLEAN, (), "label-studio", "2", "ann@example.org", MOMENT)
        work.annotations.upsert(clean)
        work.commit()
    assert client.get("/v1/models/1/errors").json()["boxes"][1] == [0, 1, 0]


def test_a_version_that_saw_no_val_photo_says_so(world: ApiWorld, val_images: list[int]) -> None:
    client = world.client(Scope.REVIEW)
    problem = check_problem(client.get("/v1/models/2/errors"), 409, "conflict")
    assert "Version 2 was never run on val images" in str(problem["detail"])
    assert "never run on val images" in client.get("/v1/models/2").json()["val_note"]
    assert "never run on val images" in client.get("/v1/models/1/compare/2").json()["val_note"]


def test_without_annotated_val_photos_it_is_said_how_to_get_them(world: ApiWorld) -> None:
    release(world, 1)
    problem = check_problem(world.client(Scope.REVIEW).get("/v1/models/1/errors"), 409, "conflict")
    assert "No val image is annotated yet" in str(problem["detail"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/9", 404),
        ("/v1/models/9/errors", 404),
        ("/v1/models/1/compare/9", 404),
        ("/v1/models/1/compare/1/images", 422),
        ("/v1/models/1/errors/images?truth=rust&predicted=dent", 422),
        ("/v1/models/1/errors/images?truth=dent", 422),
    ],
)
def test_what_is_not_there_is_a_problem(world: ApiWorld, scored: list[int], path: str, status: int) -> None:
    assert world.client(Scope.REVIEW).get(path).status_code == status


def test_a_key_that_may_review_reads_versions_and_changes_nothing(world: ApiWorld, scored: list[int]) -> None:
    client = world.client(Scope.REVIEW)
    assert [item["model_version"] for item in client.get("/v1/models/versions").json()["items"]] == ["1", "2"]
    check_problem(client.get("/v1/models"), 403, "missing_scope")
    check_problem(client.post("/v1/models/2/refuse", json={"reason": "I want to"}), 403, "missing_scope")


def test_a_refusal_by_hand_is_kept_with_who_and_why_and_stands_against_a_promotion(
    world: ApiWorld, scored: list[int]
) -> None:
    world.promote(3)
    with world.units() as work:
        work.models.add_decision(3, 2, DecisionKind.PROMOTE, ["Better."], {}, MOMENT)
        work.commit()
    client = world.client(Scope.ADMIN)
    refused = client.post("/v1/models/2/refuse", json={"reason": "misses dents on dark cars"}).json()
    assert (refused["changed"], refused["decision"]["asked_by"]) == (True, "test")
    assert client.post("/v1/models/2/refuse", json={"reason": "again"}).json()["changed"] is False
    problem = check_problem(client.post("/v1/models/2/promote", json={"reason": "yes"}), 409, "conflict")
    assert "test refused version 2: misses dents on dark cars" in str(problem["detail"])
    with world.units(read_only=True) as work:
        assert _pending_decision(work.models.decisions(), work.models.promotions()) is None
        (entry,) = work.audit.all(action="refuse")
        assert (entry.action, entry.subject, entry.detail["gate"]) == ("refuse", "model 2", "promote")
    wanted = {"reason": "agreed after all", "against_the_gate": True}
    assert client.post("/v1/models/2/promote", json=wanted).json()["changed"] is True


def test_a_refusal_of_another_version_leaves_what_the_gate_let_through(world: ApiWorld, scored: list[int]) -> None:
    world.promote(3)
    with world.units() as work:
        work.models.add_decision(3, 2, DecisionKind.PROMOTE, ["Better."], {}, MOMENT)
        work.commit()
    assert world.client(Scope.ADMIN).post("/v1/models/1/refuse", json={"reason": "old"}).json()["changed"] is True
    with world.units(read_only=True) as work:
        pending = _pending_decision(work.models.decisions(), work.models.promotions())
        assert pending is not None
        assert pending.challenger == 2


def test_the_champion_cannot_be_refused(world: ApiWorld) -> None:
    world.promote(1)
    problem = world.client(Scope.ADMIN).post("/v1/models/1/refuse", json={"reason": "bad"})
    assert "Version 1 is champion" in str(check_problem(problem, 409, "conflict")["detail"])


def test_the_champion_is_nowhere_on_a_surface_without_it_and_a_bad_number_stays_one(world: ApiWorld) -> None:
    world.promote()
    admin = world.key(Scope.ADMIN)
    champion = "/v1/models/champion"
    assert world.client(surface="all").get(champion, headers=admin).status_code == 200
    operations = world.client(surface="operations")
    check_problem(operations.get(champion, headers=admin), 404, "not_found")
    check_problem(operations.get("/v1/models/99", headers=admin), 404, "not_found")
    for number in ("0", "-1", str(2**31), "9" * 5000):
        check_problem(operations.get(f"/v1/models/{number}", headers=admin), 422, "invalid_input")
    check_problem(operations.get(champion, headers=world.key(Scope.PREDICT)), 403, "missing_scope")
    check_problem(world.client(surface="operations", has_key=False).get(champion), 401, "unauthenticated")
