"""What annotators are served while models come and go, on a real Label Studio server; `test_label_studio` runs it."""

from __future__ import annotations

import re

import httpx
import numpy as np

from damageloop.adapters.label_studio.client import LabelStudioTool
from damageloop.adapters.label_studio.regions import to_region
from damageloop.adapters.label_studio.session import LabelStudioSession
from damageloop.adapters.label_studio.views import ensure_views
from damageloop.ports import TaskDraft
from samples.labeling_page import LabelingPage
from tests.integration.annotation_tool_contract import DENT, SCRATCH, SIZE_WH, drafts, pre_annotation
from tests.integration.label_studio_server import RunningServer

DRAWN = [to_region("r0", DENT, SIZE_WH)]


def second_account(server: RunningServer) -> str:
    """Invite a second person, as a team lead does, and return a token of theirs."""
    mail = "second@localhost.local"
    with httpx.Client(base_url=server.base_url, trust_env=False, follow_redirects=True) as client:
        known = {"Authorization": f"Token {server.token}"}
        link = client.get("/api/invite", headers=known).raise_for_status().json()["invite_url"]
        client.cookies.clear()
        client.get(link)
        form = {
            "email": mail,
            "password": "a-long-password-2",
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        token = re.search(r"token=([^&]+)", link)
        assert token is not None
        client.post("/user/signup/", params={"token": token[1]}, data=form)
        return str(client.get("/api/current-user/token").raise_for_status().json()["token"])


class QueueRules:
    """Subclasses give the fixtures `server`, `tool` and `page`."""

    def test_two_people_get_the_round_in_order_and_never_the_same_task(
        self, server: RunningServer, tool: LabelStudioTool, page: LabelingPage
    ) -> None:
        ranked = [int(i) for i in np.random.default_rng(5).permutation(np.arange(1, 9))]
        tasks = tool.import_tasks(drafts(*range(1, 9)))
        tool.import_pre_annotations([pre_annotation(tasks[i], i, 1, (n + 1) / 9, DENT) for n, i in enumerate(ranked)])
        tool.bind_model_version(1)
        other = LabelingPage(server.base_url, second_account(server), tool.identity().project_id)
        served = []
        for person in (page, other) * 2:
            task = person.next_task()
            assert task is not None
            served.append(task["id"])
        # Who does not submit gets the task that they have open again, and the others the ones behind it.
        assert served == [tasks[ranked[0]], tasks[ranked[1]]] * 2
        submitted = [served[0]]
        page.submit(served[0], DRAWN, 1.0)
        for _ in ranked[2:]:
            task = page.next_task()
            assert task is not None
            submitted.append(task["id"])
            page.submit(task["id"], DRAWN, 1.0)
        assert submitted == [tasks[i] for i in ranked if i != ranked[1]]
        other.submit(served[1], DRAWN, 1.0)

    def test_an_open_page_is_submitted_after_a_renewal_and_the_rest_comes_in_the_new_order(
        self, tool: LabelStudioTool, page: LabelingPage
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3, 4, 5))
        tool.import_pre_annotations([pre_annotation(t, i, 1, i / 10, DENT) for i, t in tasks.items()])
        tool.bind_model_version(1)
        page.submit(tasks[5], DRAWN, 1.0)
        page.save_draft(tasks[4], DRAWN)
        opened = page.next_task()
        assert opened is not None
        assert opened["id"] == tasks[1]
        (before,) = opened["predictions"]
        waiting = tool.untouched(list(tasks.values()))
        assert waiting == {tasks[1], tasks[2], tasks[3]}
        # Somebody submits while the renewal is being sent.
        page.submit(tasks[1], before["result"], 3.0, parent_prediction=before["id"])
        tool.import_pre_annotations(
            [pre_annotation(t, i, 2, 1 - i / 10, SCRATCH) for i, t in tasks.items() if t in waiting]
        )
        tool.bind_model_version(2)
        (review,) = tool.reviews_of([tasks[1]])
        assert [box.damage_class for box in review.boxes] == ["dent"]
        # A page that was opened under the old version.
        late = page.open_task(tasks[2])["predictions"]
        old = next(p for p in late if p["model_version"] == "1")
        shown = page.next_task()
        assert shown is not None
        assert shown["id"] == tasks[3]
        assert [p["model_version"] for p in shown["predictions"]] == ["2"]
        page.submit(tasks[2], old["result"], 3.0, parent_prediction=old["id"])
        assert tool.count_pre_annotations(2, [tasks[4], tasks[5]]) == 0
        assert tool.count_pre_annotations(1, [tasks[4], tasks[5]]) == 2

    def test_each_tab_can_be_opened_before_there_is_a_task(self, server: RunningServer, tool: LabelStudioTool) -> None:
        project = tool.identity().project_id
        session = LabelStudioSession(server.base_url, server.token)

        def opened() -> dict[str, list[str]]:
            views = session.request("GET", "api/dm/views/", "list tabs", {"project": project})
            for view in views:
                # Where Label Studio can't answer a tab, this raises.
                session.request("GET", "api/tasks/", "read a tab", {"view": view["id"]})
            return {view["data"]["title"]: view["data"]["ordering"] for view in views}

        assert list(opened()) == ["Queue in order", "Sent back", "Drafts", "Skipped"]
        tool.import_tasks(drafts(1))
        ordered = opened()
        assert ordered["Queue in order"] == ordered["Sent back"] == ["tasks:predictions_score"]

    def test_the_tabs_show_what_waits_in_order_and_are_made_once(
        self, server: RunningServer, tool: LabelStudioTool, page: LabelingPage
    ) -> None:
        project = tool.identity().project_id
        tasks = tool.import_tasks([*drafts(1, 2, 3), TaskDraft(4, "sha256/ab/4.jpg", SIZE_WH, note="the sill")])
        tool.import_pre_annotations([pre_annotation(t, i, 1, 1 - i / 5, DENT) for i, t in tasks.items()])
        tool.bind_model_version(1)
        page.submit(tasks[3], DRAWN, 1.0)
        page.skip(tasks[2], 1.0)
        session = LabelStudioSession(server.base_url, server.token)
        ensure_views(session, project)
        views = session.request("GET", "api/dm/views/", "list tabs", {"project": project})
        shown = {
            view["data"]["title"]: [
                task["id"] for task in session.request("GET", "api/tasks/", "read a tab", {"view": view["id"]})["tasks"]
            ]
            for view in views
        }
        assert len(views) == len(shown)
        assert shown["Queue in order"] == [tasks[4], tasks[1]]
        assert (shown["Sent back"], shown["Skipped"], shown["Drafts"]) == ([tasks[4]], [tasks[2]], [])

    def test_a_version_is_not_taken_for_another_that_has_its_number_in_it(self, tool: LabelStudioTool) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        tool.import_pre_annotations([pre_annotation(t, i, 12, i / 3, DENT) for i, t in tasks.items()])
        assert [tool.count_pre_annotations(v, list(tasks.values())) for v in (12, 1, 2)] == [2, 0, 0]
        assert tool.import_pre_annotations([pre_annotation(t, i, 2, i / 3) for i, t in tasks.items()]) == 2
        assert tool.count_pre_annotations(12, list(tasks.values())) == 2
