"""A round that a saved subset scopes: asked for over HTTP, opened as the job does it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from damageloop.domain.key import Scope
from damageloop.domain.round import RoundItem, RoundState
from damageloop.domain.split import Split
from damageloop.services.rounds.open_round import OpenRound
from damageloop.services.rounds.pre_annotations import PreAnnotationSender
from tests.factories import add_image, make_annotation
from tests.fakes.annotation_tool import FakeAnnotationTool
from tests.fakes.job_context import NoContext
from tests.integration.api_world import ApiWorld
from tests.integration.test_api import check_problem

HELD_OUT = 3
LABELED = 5


def fill(world: ApiWorld, count: int) -> Any:
    with world.units() as work:
        for number in range(1, count + 1):
            add_image(work, number, Split.TEST if number == HELD_OUT else Split.TRAIN)
        work.annotations.upsert(make_annotation(LABELED))
        work.commit()
    return world.client(Scope.REVIEW)


def save(client: Any, **content: Any) -> int:
    response = client.post("/v1/subsets", json={"name": "some", **content})
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def ask(client: Any, subset_id: int, **wishes: Any) -> None:
    response = client.post("/v1/rounds", json={"subset_id": subset_id, **wishes})
    assert response.status_code == 202, response.text


def open_asked(world: ApiWorld) -> list[RoundItem]:
    """Do the job that was asked for; return what the round holds."""
    with world.units(read_only=True) as work:
        (job,) = work.jobs.active()
    tool = FakeAnnotationTool()
    sender = PreAnnotationSender(world.units, tool, world.clock, world.params)
    handler = OpenRound(world.units, tool, sender, world.features, world.clock, world.params)
    result = handler(job.inputs, NoContext())
    with world.units(read_only=True) as work:
        assert work.rounds.get(result["round_id"]).state is RoundState.OPEN
        return work.rounds.items(result["round_id"])


def ids(items: Iterable[RoundItem]) -> set[int]:
    return {item.image_id for item in items}


def test_a_round_of_a_subset_holds_its_waiting_train_images_and_no_other(world: ApiWorld) -> None:
    client = fill(world, 20)
    ask(client, save(client, image_ids=[2, HELD_OUT, LABELED, 7, 11]), query_size=10)
    items = open_asked(world)
    assert ids(items) == {2, 7, 11}
    # Nothing of it was drawn at random from the whole pool.
    assert {item.probability for item in items} == {None}
    assert "'some'" in client.get("/v1/rounds/1").json()["round"]["note"]


def test_a_round_of_a_subset_is_no_larger_than_asked_for(world: ApiWorld) -> None:
    client = fill(world, 20)
    ask(client, save(client, image_ids=[1, 2, 7, 11]), query_size=2)
    items = open_asked(world)
    assert len(items) == 2
    assert ids(items) < {1, 2, 7, 11}


def test_a_filter_with_more_than_five_thousand_images_scopes_a_round(world: ApiWorld) -> None:
    client = fill(world, 5_100)
    subset_id = save(client, query={"split": "train"})
    assert client.get(f"/v1/subsets/{subset_id}").json()["n_images"] == 5_099
    ask(client, subset_id, query_size=5)
    items = open_asked(world)
    assert len(items) == 5
    assert not ids(items) & {HELD_OUT, LABELED}


def test_a_subset_in_which_nothing_waits_opens_no_round(world: ApiWorld) -> None:
    client = fill(world, 6)
    nothing = save(client, image_ids=[HELD_OUT, LABELED])
    problem = check_problem(client.post("/v1/rounds", json={"subset_id": nothing}), 409, "conflict")
    assert problem["detail"] == "No train image of this subset waits: all were put before a human, or set aside."
    check_problem(client.post("/v1/rounds", json={"subset_id": 99}), 404, "not_found")
    for wishes in ({"image_ids": [1]}, {"kind": "audit"}):
        check_problem(client.post("/v1/rounds", json={"subset_id": nothing, **wishes}), 422, "invalid_input")
