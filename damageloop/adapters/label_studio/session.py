"""One connection to Label Studio, and the one place where its errors become ours.

The official client, with plain requests beside it. Tokens, cookies and headers never reach an error's text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.core.request_options import RequestOptions

from damageloop.errors import ConflictError, DamageloopError, NotFoundError, UnavailableError

T = TypeVar("T")
Json = Any
Filter = dict[str, Any]

PAGE_SIZE = 500
# Tasks that one request names: a list of ids makes the address long.
BATCH = 250
# Tasks or predictions that one request brings: a server without our flags recounts the project at each request.
IMPORT_BATCH = 1000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
RETRYABLE = frozenset({408, 429})
# The client repeats a failed request by itself, which would import the same tasks twice.
ONCE: RequestOptions = {"max_retries": 0}


class LabelStudioSession:
    """Requests to one Label Studio server with one token.

    Args:
        base_url: Address of the server.
        token: A legacy token or a personal access token.
        timeout_s: For one request; imports of a few hundred tasks need seconds.
    """

    def __init__(self, base_url: str, token: str, timeout_s: float = 120.0) -> None:
        # A proxy from the environment must not be asked for an address of this machine.
        trust_env = urlsplit(base_url).hostname not in LOOPBACK
        http = httpx.Client(timeout=timeout_s, follow_redirects=True, trust_env=trust_env)
        self.base_url = base_url.rstrip("/")
        self.sdk = LabelStudio(base_url=self.base_url, api_key=token.strip(), httpx_client=http)

    def request(
        self,
        method: str,
        path: str,
        operation: str,
        params: Mapping[str, Any] | None = None,
        body: Json = None,
    ) -> Json:
        """Send a request that the official client has no call for; return the parsed answer, None when empty."""
        with translated(operation):
            client = self.sdk._client_wrapper.httpx_client  # noqa: SLF001 - it alone renews personal access tokens
            response = client.request(path, method=method, params=dict(params or {}), json=body, request_options=ONCE)
            if response.status_code >= httpx.codes.BAD_REQUEST:
                raise ApiError(status_code=response.status_code, body=response.text)
            return response.json() if response.content else None

    def now(self) -> datetime | None:
        """Return the server's clock by the date of an answer, to the second; None where it dates none."""
        with translated("ask for the time"):
            client = self.sdk._client_wrapper.httpx_client  # noqa: SLF001 - see `request`
            response = client.request("health", method="GET", request_options=ONCE)
            said = response.headers.get("date")
            return parsedate_to_datetime(said).astimezone(UTC) if said else None

    def tasks(
        self,
        project_id: int,
        filters: Sequence[Filter] = (),
        task_ids: Sequence[int] | None = None,
        is_full: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield the tasks that pass every filter, by rising id; with annotations and predictions when `is_full`.

        Pages go by id, not by number, so that a task added or deleted meanwhile makes no other one be missed.
        """
        last_id = 0
        while True:
            page = self._page(project_id, [*filters, _after(last_id)], task_ids, is_full)
            yield from page
            if len(page) < PAGE_SIZE:
                return
            last_id = page[-1]["id"]

    def n_tasks(self, project_id: int, filters: Sequence[Filter] = (), task_ids: Sequence[int] | None = None) -> Totals:
        """Return how many of the tasks pass every filter: a tenth of the time of a list.

        A filter by predictions counts a task once for each of them.
        """
        query = selection(filters, task_ids)
        params = {"project": project_id, "page_size": 1, "fields": "task_only", "query": json.dumps(query)}
        answer = self.request("GET", "api/tasks/", f"count tasks of project {project_id}", params)
        return Totals(int(answer["total"]), int(answer["total_predictions"]))

    def _page(
        self, project_id: int, filters: list[Filter], task_ids: Sequence[int] | None, is_full: bool
    ) -> list[dict[str, Any]]:
        query: dict[str, Any] = selection(filters, task_ids) | {"ordering": ["tasks:id"]}
        params = {
            "project": project_id,
            "page_size": PAGE_SIZE,
            "fields": "all" if is_full else "task_only",
            "resolve_uri": "false",
            "query": json.dumps(query),
        }
        answer = self.request("GET", "api/tasks/", f"read tasks of project {project_id}", params)
        page: list[dict[str, Any]] = answer["tasks"]
        return page


class Totals(NamedTuple):
    """How many tasks, and how many predictions they hold."""

    tasks: int
    predictions: int


def where(field: str, operator: str, kind: str, value: Any) -> Filter:
    """Return a filter of Label Studio's task list, such as `where("total_annotations", "equal", "Number", 0)`."""
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}


def selection(
    filters: Sequence[Filter], task_ids: Sequence[int] | None = None, conjunction: str = "and"
) -> dict[str, Any]:
    """Return the part of a query that says which tasks: those of `task_ids` that pass every filter (`or`: any)."""
    query: dict[str, Any] = {"filters": {"conjunction": conjunction, "items": list(filters)}}
    if task_ids is not None:
        query["selectedItems"] = {"all": False, "included": list(task_ids)}
    return query


def as_text(moment: datetime | None) -> str:
    """Return a moment as Label Studio's filters read it: UTC, with microseconds."""
    if moment is None:
        raise ValueError("Label Studio gave no time")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield the items in slices of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _after(task_id: int) -> Filter:
    return where("id", "greater", "Number", task_id)


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Turn every error of the client into one of ours that names the system and the operation."""
    try:
        yield
    except ApiError as exc:
        # Its text would print the response's headers, and a session cookie is among them.
        exc.headers = None
        raise _refusal(exc.status_code, exc.body, operation) from exc
    except httpx.HTTPError as exc:
        raise UnavailableError(f"Label Studio did not answer: {operation} ({type(exc).__name__}).") from exc
    except (ValueError, KeyError) as exc:
        raise UnavailableError(f"Label Studio gave an answer that can't be read: {operation}.") from exc


def _refusal(status: int | None, body: Any, operation: str) -> DamageloopError:
    if status == httpx.codes.NOT_FOUND:
        return NotFoundError(f"Label Studio does not know it: {operation}.")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ConflictError(f"Label Studio did not permit: {operation} (HTTP {status}{_detail(body)}).")
    if status is None or status >= httpx.codes.INTERNAL_SERVER_ERROR or status in RETRYABLE:
        return UnavailableError(f"Label Studio failed: {operation} (HTTP {status}).")
    return ConflictError(f"Label Studio refused: {operation} (HTTP {status}{_detail(body)}).")


def _detail(body: Any) -> str:
    """Return what Label Studio says was wrong, cut short; it never repeats headers or tokens there."""
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return ""
    found = (body.get("validation_errors") or body.get("detail")) if isinstance(body, Mapping) else None
    return f": {str(found)[:300]}" if found else ""
