"""The adapter, the ML backend and the simulated annotator against one real Label Studio server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import psutil
import pytest
from werkzeug.serving import make_server

from damageloop.adapters.label_studio.client import LabelStudioTool
from damageloop.adapters.label_studio.form import Form, labeling_config
from damageloop.adapters.label_studio.inspection import inspect
from damageloop.adapters.label_studio.regions import to_region, to_severity
from damageloop.adapters.label_studio.session import LabelStudioSession, selection
from damageloop.adapters.label_studio.setup import (
    SECRET_HEADER,
    Connection,
    ProjectPage,
    ProjectPlan,
    connect,
    set_labels,
)
from damageloop.bootstrap.project_checks import Expected, judge
from damageloop.domain.annotation import LabeledBox, Verdict
from damageloop.domain.geometry import Box
from damageloop.domain.labels import FormerNames
from damageloop.domain.prediction import Detection
from damageloop.errors import ConflictError, UnavailableError
from ml_backend.application import create_app
from samples.annotator import PhotoTruth, annotate
from samples.labeling_page import LabelingPage
from tests.fakes.pre_annotation_source import FakePreAnnotationSource
from tests.integration.annotation_tool_contract import (
    DENT,
    SCRATCH,
    SIZE_WH,
    AnnotationToolContract,
    assert_same_boxes,
    drafts,
    pre_annotation,
)
from tests.integration.label_studio_server import PASSWORD, TOKEN, Person, RunningServer, running_server
from tests.integration.queue_rules import QueueRules
from tests.ports import free_port

BACKEND_PASSWORD = "a-password-of-the-backend"
SECRET = "a-webhook-secret-for-tests"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("label-studio")) as running:
        yield running


def page_of(classes: tuple[str, ...], former: FormerNames) -> ProjectPage:
    return ProjectPage(labeling_config(classes, former), "<p>Draw.</p>")


@pytest.fixture
def plan(server: RunningServer) -> ProjectPlan:
    return ProjectPlan(
        classes=("scratch", "dent"),
        storage_dir=server.images,
        webhook_url=f"http://localhost:{free_port()}/v1/webhooks/label-studio",
        webhook_secret=SECRET,
        # A project of its own for every test: `connect` would find one of the same title again.
        title=uuid4().hex,
    )


@pytest.fixture
def connection(server: RunningServer, plan: ProjectPlan) -> Connection:
    return connect(server.base_url, server.token, plan)


@pytest.fixture
def tool(server: RunningServer, connection: Connection) -> LabelStudioTool:
    return LabelStudioTool(server.base_url, server.token, connection.project_id)


@pytest.fixture
def page(server: RunningServer, connection: Connection) -> LabelingPage:
    return LabelingPage(server.base_url, server.token, connection.project_id)


@pytest.fixture
def annotator(page: LabelingPage) -> Person:
    return Person(page)


class TestLabelStudioTool(AnnotationToolContract):
    """The contract, on the real server."""


class TestQueue(QueueRules):
    """The rules of the queue, on the real server."""


class TestConnecting:
    def test_a_second_time_changes_nothing(self, server: RunningServer, plan: ProjectPlan) -> None:
        first = connect(server.base_url, server.token, plan)
        assert connect(server.base_url, server.token, plan) == first

    def test_the_webhook_follows_its_address_and_secret(self, server: RunningServer, plan: ProjectPlan) -> None:
        first = connect(server.base_url, server.token, plan)
        moved = replace(plan, webhook_url="http://localhost:4000/hook", webhook_secret="another")
        assert connect(server.base_url, server.token, moved).webhook_id == first.webhook_id
        (webhook,) = _webhooks(server, first.project_id)
        assert webhook["url"] == moved.webhook_url
        assert webhook["headers"] == {SECRET_HEADER: "another"}

    def test_the_image_folder_follows_a_moved_home(self, server: RunningServer, plan: ProjectPlan) -> None:
        first = connect(server.base_url, server.token, plan)
        other = server.images.parent / "moved"
        other.mkdir(exist_ok=True)
        moved = replace(plan, storage_dir=other)
        assert connect(server.base_url, server.token, moved).storage_id == first.storage_id
        session = LabelStudioSession(server.base_url, server.token)
        query = {"project": first.project_id}
        found = session.request("GET", "api/storages/localfiles/", "list storages", query)
        assert [storage["path"] for storage in found] == [str(other)]

    def test_the_project_serves_by_uncertainty_and_does_not_train_on_save(
        self, server: RunningServer, connection: Connection
    ) -> None:
        session = LabelStudioSession(server.base_url, server.token)
        project = session.request("GET", f"api/projects/{connection.project_id}/", "read the project")
        assert project["sampling"] == "Uncertainty sampling"
        assert project["min_annotations_to_start_training"] == 0
        assert project["evaluate_predictions_automatically"] is False
        assert project["enable_empty_annotation"] is False

    def test_a_link_local_address_is_refused(self, server: RunningServer, plan: ProjectPlan) -> None:
        with pytest.raises(ConflictError):
            connect(server.base_url, server.token, replace(plan, webhook_url="http://169.254.169.254/hook"))

    def test_a_wrong_token_is_refused_without_being_told(self, server: RunningServer, plan: ProjectPlan) -> None:
        wrong = "ab" * 20
        with pytest.raises(ConflictError) as refused:
            connect(server.base_url, wrong, plan)
        assert wrong not in f"{refused.value} {refused.value.__cause__}"
        assert "sessionid" not in str(refused.value.__cause__)

    def test_a_server_that_is_down_is_unavailable(self) -> None:
        with pytest.raises(UnavailableError):
            LabelStudioTool(f"http://localhost:{free_port()}", TOKEN, 1).identity()


class TestChangingClasses:
    """What Label Studio does with regions of a class that is called otherwise now, or not looked for any more."""

    def test_a_renamed_class_is_one_class_with_what_was_drawn_before(
        self, server: RunningServer, tool: LabelStudioTool, annotator: Person
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        annotator.submit(tasks[1], [DENT])
        former = FormerNames({"dent": "ding"})
        project_id = tool.identity().project_id
        assert set_labels(server.base_url, server.token, project_id, page_of(("scratch", "ding"), former))
        assert not set_labels(server.base_url, server.token, project_id, page_of(("scratch", "ding"), former))
        renamed = LabelStudioTool(server.base_url, server.token, project_id, former=former)
        assert [box.damage_class for review in renamed.reviews_since(None) for box in review.boxes] == ["ding"]
        # A prediction by the name that is shown would be dropped.
        ding = LabeledBox("ding", DENT.box)
        assert renamed.import_pre_annotations([pre_annotation(tasks[2], 2, 1, 0.5, ding)]) == 1
        # The page writes the alias, as the former name.
        annotator.submit(tasks[2], [DENT])
        assert {box.damage_class for review in renamed.reviews_since(None) for box in review.boxes} == {"ding"}

    def test_a_class_that_people_drew_can_be_removed_and_come_back(
        self, server: RunningServer, tool: LabelStudioTool, annotator: Person
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        annotator.submit(tasks[1], [DENT])
        annotator.submit(tasks[2], [DENT, SCRATCH])
        before = list(tool.reviews_since(None))
        project_id, former = tool.identity().project_id, FormerNames(removed=("dent",))
        assert set_labels(server.base_url, server.token, project_id, page_of(("scratch",), former))
        without = LabelStudioTool(server.base_url, server.token, project_id, former=former)
        found = {review.image_id: review for review in without.reviews_since(None)}
        assert (found[1].verdict, found[1].boxes) == (Verdict.INCOMPLETE, ())
        assert [box.damage_class for box in found[2].boxes] == ["scratch"]
        assert set_labels(server.base_url, server.token, project_id, page_of(("scratch", "dent"), FormerNames()))
        assert list(tool.reviews_since(None)) == before


class TestForm:
    """What annotators say beside boxes, and what they are told."""

    @pytest.fixture
    def plan(self, plan: ProjectPlan) -> ProjectPlan:
        return replace(plan, form=Form(has_severity=True))

    def test_how_bad_a_damage_was_called_comes_back_with_its_box_and_can_be_switched_off_and_on(
        self, server: RunningServer, plan: ProjectPlan, tool: LabelStudioTool, page: LabelingPage, annotator: Person
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        graded = (replace(DENT, severity="severe"), SCRATCH)
        page.submit(tasks[1], _graded_regions(graded), 1.0)
        (said,) = (review.boxes for review in tool.reviews_since(None))
        assert_same_boxes(said, graded)
        assert [box.severity for box in said] == ["severe", None]
        # As a photo is sent back: the page shows what was drawn, with what was said of it.
        sent = pre_annotation(tasks[2], 2, 1, 0.0, *graded)
        assert tool.import_pre_annotations([replace(sent, severities=("severe", None))]) == 1
        shown = annotator.shown(tasks[2])
        assert_same_boxes(shown, graded)
        assert [box.severity for box in shown] == ["severe", None]
        for has_severity in (False, True, False):
            form = Form(has_severity=has_severity)
            wanted = ProjectPage(labeling_config(plan.classes, form=form), plan.instruction)
            assert set_labels(server.base_url, server.token, tool.identity().project_id, wanted)
            assert [r.boxes for r in tool.reviews_since(None)] == [said]
            assert [box.severity for box in annotator.shown(tasks[2])] == ["severe", None]
        assert connect(server.base_url, server.token, plan).project_id == tool.identity().project_id

    def test_only_a_task_that_was_sent_back_has_a_note(self, tool: LabelStudioTool, page: LabelingPage) -> None:
        first, *others = drafts(1, 2)
        known = tool.import_tasks([first, *others])
        again = tool.import_second_tasks([replace(first, note="the left door, please")], list(known.values()))
        data = {task_id: page.open_task(task_id)["data"] for task_id in (*known.values(), again[1])}
        assert {task_id for task_id, each in data.items() if "note" in each} == {again[1]}
        assert data[again[1]]["note"] == "the left door, please"


class TestServer:
    def test_no_secret_is_on_its_command_line_or_in_its_log(self, server: RunningServer) -> None:
        seen = " ".join(psutil.Process(server.pid).cmdline()) + server.log.read_text()
        assert PASSWORD not in seen
        assert TOKEN not in seen

    def test_it_listens_on_loopback_only(self, server: RunningServer) -> None:
        listening = [c for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"]
        assert {c.laddr.ip for c in listening} == {"127.0.0.1"}

    def test_nobody_signs_up(self, server: RunningServer) -> None:
        with httpx.Client(base_url=server.base_url, trust_env=False) as client:
            client.get("/user/signup/")
            form = {
                "email": "stranger@example.com",
                "password": "a-long-password-1",
                "csrfmiddlewaretoken": client.cookies["csrftoken"],
            }
            assert client.post("/user/signup/", data=form).status_code == httpx.codes.FORBIDDEN

    def test_images_are_served_to_those_who_are_logged_in(
        self, server: RunningServer, connection: Connection, tmp_path: Path
    ) -> None:
        assert connection.storage_id
        (server.images / "ab").mkdir(exist_ok=True)
        (server.images / "ab" / "photo.jpg").write_bytes(b"\xff\xd8\xff\xd9")
        (server.images.parent / "outside.jpg").write_bytes(b"\xff\xd8\xff\xd9")
        with httpx.Client(base_url=server.base_url, trust_env=False) as client:
            url = "/data/local-files/?d=sha256/ab/photo.jpg"
            known = {"Authorization": f"Token {server.token}"}
            assert client.get(url).status_code == httpx.codes.UNAUTHORIZED
            assert client.get(url, headers=known).content == b"\xff\xd8\xff\xd9"
            other = client.get("/data/local-files/?d=outside.jpg", headers=known)
            assert other.status_code == httpx.codes.NOT_FOUND


@dataclass(frozen=True, slots=True)
class RunningBackend:
    source: FakePreAnnotationSource
    url: str


@pytest.fixture
def backend() -> Iterator[RunningBackend]:
    port = free_port()
    source = FakePreAnnotationSource({}, size_wh=SIZE_WH)
    http = make_server("127.0.0.1", port, create_app(source, password=BACKEND_PASSWORD), threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield RunningBackend(source, f"http://localhost:{port}")
    http.shutdown()
    thread.join()


class TestMlBackend:
    @pytest.fixture
    def plan(self, plan: ProjectPlan, backend: RunningBackend) -> ProjectPlan:
        return replace(plan, ml_backend_url=backend.url, ml_backend_password=BACKEND_PASSWORD)

    def test_its_own_webhook_goes_and_ours_stays(
        self, server: RunningServer, plan: ProjectPlan, connection: Connection
    ) -> None:
        assert connection.ml_backend_id is not None
        (webhook,) = _webhooks(server, connection.project_id)
        assert webhook["url"] == plan.webhook_url
        assert connect(server.base_url, server.token, plan) == connection

    def test_doctor_finds_nothing_wrong_with_it(
        self, server: RunningServer, plan: ProjectPlan, connection: Connection, backend: RunningBackend
    ) -> None:
        state = inspect(server.base_url, server.token, connection.project_id)
        findings = judge(state, Expected(plan.webhook_url, SECRET, backend.url, bound_version=None))
        assert {name: detail for name, (ok, detail, _) in findings.items() if not ok} == {}

    def test_a_task_opened_without_a_prediction_is_answered(
        self, tool: LabelStudioTool, backend: RunningBackend, annotator: Person
    ) -> None:
        backend.source.version = 6
        backend.source.detections = {
            1: (Detection("dent", 0.9, DENT.box),),
            2: (Detection("dent", 0.9, DENT.box),),
        }
        backend.source.audited = {2}
        tasks = tool.import_tasks(drafts(1, 2, 3))
        assert [len(annotator.shown(tasks[i])) for i in (1, 2, 3)] == [1, 0, 0]
        assert tool.count_pre_annotations(6, list(tasks.values())) == 3

    def test_the_bound_version_keeps_the_order_beside_it(
        self, tool: LabelStudioTool, page: LabelingPage, backend: RunningBackend
    ) -> None:
        tasks = tool.import_tasks(drafts(1, 2))
        tool.import_pre_annotations([pre_annotation(tasks[1], 1, 2, 0.9, DENT), pre_annotation(tasks[2], 2, 2, 0.1)])
        tool.bind_model_version(2)
        task = page.next_task()
        assert task is not None
        assert (task["id"], [p["result"] for p in task["predictions"]]) == (tasks[2], [[]])
        assert backend.source.calls == []

    def test_it_lists_the_versions_to_who_has_the_password(
        self, server: RunningServer, plan: ProjectPlan, connection: Connection, backend: RunningBackend
    ) -> None:
        session = LabelStudioSession(server.base_url, server.token)
        path = f"api/ml/{connection.ml_backend_id}/versions"
        backend.source.version = 3
        assert session.request("GET", path, "list versions") == {"versions": ["3", "2", "1"]}
        for wrong in (None, "another"):
            with pytest.raises(ConflictError) as refused:
                connect(server.base_url, server.token, replace(plan, ml_backend_password=wrong))
            assert BACKEND_PASSWORD not in str(refused.value)
        assert connect(server.base_url, server.token, plan) == connection
        assert session.request("GET", path, "list versions") == {"versions": ["3", "2", "1"]}

    def test_predictions_of_many_tasks_are_retrieved_by_one_question(
        self, server: RunningServer, tool: LabelStudioTool, connection: Connection, backend: RunningBackend
    ) -> None:
        backend.source.version = 4
        backend.source.detections = {i: (Detection("dent", 0.9, DENT.box),) for i in range(1, 41)}
        backend.source.broken = {7: "cannot read"}
        tasks = tool.import_tasks(drafts(*range(1, 41)))
        session = LabelStudioSession(server.base_url, server.token)
        params = {"id": "retrieve_tasks_predictions", "project": connection.project_id}
        session.request("POST", "api/dm/actions/", "retrieve", params, selection((), list(tasks.values())))
        assert len(backend.source.calls[0]) == 40
        assert tool.count_pre_annotations(4, list(tasks.values())) == 40


class TestSimulatedAnnotator:
    def test_it_works_until_the_queue_is_empty(self, tool: LabelStudioTool, page: LabelingPage) -> None:
        tasks = tool.import_tasks(drafts(1, 2, 3, 4))
        wrong = LabeledBox("dent", Box(900.0, 700.0, 1000.0, 800.0))
        tool.import_pre_annotations(
            [
                pre_annotation(tasks[1], 1, 1, 0.0, DENT, wrong),
                pre_annotation(tasks[2], 2, 1, 0.2),
                pre_annotation(tasks[3], 3, 1, 0.4),
                pre_annotation(tasks[4], 4, 1, 0.6),
            ]
        )
        tool.bind_model_version(1)
        truth = {1: PhotoTruth(SIZE_WH, (DENT,)), 2: PhotoTruth(SIZE_WH, (SCRATCH,)), 3: PhotoTruth(SIZE_WH, ())}
        report = annotate(page, truth.get, np.random.default_rng(3))
        assert report.task_ids == [tasks[1], tasks[2], tasks[3]]
        assert (report.accepted, report.rejected, report.drawn, report.clean) == (1, 1, 1, 1)
        assert report.skipped == 1
        found = {review.image_id: review for review in tool.reviews_since(None)}
        assert [found[i].verdict for i in (1, 2, 3, 4)] == [
            Verdict.DAMAGED,
            Verdict.DAMAGED,
            Verdict.CLEAN,
            Verdict.SKIPPED,
        ]
        assert sum(review.lead_time_s or 0.0 for review in found.values()) == pytest.approx(report.seconds)
        assert found[1].boxes[0].box.as_tuple() == pytest.approx(DENT.box.as_tuple(), abs=0.01)


def _graded_regions(boxes: Sequence[LabeledBox]) -> list[dict[str, object]]:
    """Return the regions of boxes with what is said of them, as the editor submits both."""
    regions = [to_region(f"r{n}", box, SIZE_WH) for n, box in enumerate(boxes)]
    graded = zip(regions, boxes, strict=True)
    return regions + [to_severity(region, box.severity) for region, box in graded if box.severity]


def _webhooks(server: RunningServer, project_id: int) -> list[dict[str, object]]:
    session = LabelStudioSession(server.base_url, server.token)
    found: list[dict[str, object]] = session.request("GET", "api/webhooks/", "list webhooks", {"project": project_id})
    return found
