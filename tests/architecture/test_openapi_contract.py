"""The contract with clients: the documents are kept up to date, complete, and no change of them breaks anybody."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api import document
from api.main import Surface
from tests.architecture.openapi_changes import METHODS, breaking_changes

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "openapi"
SURFACES = document.SURFACES
OPEN = ("/v1/health/live", "/v1/health/ready")


@pytest.fixture(scope="module")
def documents() -> dict[Surface, dict[str, Any]]:
    return {surface: document.document(surface) for surface in SURFACES}


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) of all."""
    return [(m, path, ops[m]) for path, ops in described["paths"].items() for m in METHODS if m in ops]


@pytest.mark.parametrize("surface", SURFACES)
def test_the_committed_document_is_that_of_the_code(surface: Surface, documents: dict[Surface, Any]) -> None:
    committed = (FOLDER / f"{surface}.json").read_text(encoding="utf-8")
    assert committed == document.as_text(documents[surface]), "run `make openapi` and commit docs/openapi"


@pytest.mark.parametrize("surface", SURFACES)
def test_no_change_since_the_last_release_breaks_a_client(surface: Surface, documents: dict[Surface, Any]) -> None:
    baseline = json.loads((FOLDER / f"baseline-{surface}.json").read_text(encoding="utf-8"))
    found = breaking_changes(baseline, documents[surface], date.today())  # noqa: DTZ011 - a sunset is a day, anywhere
    assert found == [], "docs/guides/api-changes.md says how to take something away"


@pytest.mark.parametrize("surface", SURFACES)
def test_documents_are_openapi_3_1_with_unique_operation_ids(
    surface: Surface, documents: dict[Surface, dict[str, Any]]
) -> None:
    described = documents[surface]
    assert described["openapi"].startswith("3.1")
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("surface", SURFACES)
def test_every_operation_but_health_names_its_credentials_and_what_comes_without(
    surface: Surface, documents: dict[Surface, dict[str, Any]]
) -> None:
    for method, path, operation in operations(documents[surface]):
        if path in OPEN:
            assert "security" not in operation
            continue
        assert operation["security"], f"{method} {path}"
        assert "401" in operation["responses"], f"{method} {path}"
        if {"ApiKey": []} in operation["security"]:
            assert {"403", "429"} <= operation["responses"].keys(), f"{method} {path}"


@pytest.mark.parametrize("surface", SURFACES)
def test_every_error_is_a_problem_and_says_when_to_come_again(
    surface: Surface, documents: dict[Surface, dict[str, Any]]
) -> None:
    for method, path, operation in operations(documents[surface]):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            assert list(answer["content"]) == ["application/problem+json"], f"{method} {path} {status}"
            if status in ("429", "503"):
                assert "Retry-After" in answer["headers"], f"{method} {path} {status}"


def test_every_pricing_operation_has_examples(documents: dict[Surface, dict[str, Any]]) -> None:
    described = documents["pricing"]
    lacking = []
    for method, path, operation in operations(described):
        if path in OPEN:
            continue
        contents = dict(operation.get("requestBody", {}).get("content", {}))
        good = next(answer for status, answer in operation["responses"].items() if status < "300")
        contents |= {f"answer {name}": content for name, content in good.get("content", {}).items()}
        lacking += [
            f"{method} {path}: {name}" for name, content in contents.items() if not has_example(described, content)
        ]
    assert lacking == []


@pytest.mark.parametrize("surface", SURFACES)
def test_every_example_of_a_schema_is_one(surface: Surface, documents: dict[Surface, dict[str, Any]]) -> None:
    described = documents[surface]
    shown = [
        (name, example)
        for name, schema in described["components"]["schemas"].items()
        for example in schema.get("examples", [])
    ]
    assert shown
    for name, example in shown:
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        errors = [str(error) for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(example)]
        assert errors == [], name


def test_what_a_line_of_a_batch_is_can_be_looked_up(documents: dict[Surface, dict[str, Any]]) -> None:
    schemas = documents["pricing"]["components"]["schemas"]
    assert {"number", "filename", "sha256", "prediction", "error"} == schemas["BatchLineSchema"]["properties"].keys()
    assert "BatchLineSchema" not in documents["operations"]["components"]["schemas"]


@pytest.mark.parametrize("surface", SURFACES)
def test_every_operation_tells_what_is_refused_before_it_is_read(
    surface: Surface, documents: dict[Surface, dict[str, Any]]
) -> None:
    for method, path, operation in operations(documents[surface]):
        assert "431" in operation["responses"], f"{method} {path}"
        assert ({"408", "413"} <= operation["responses"].keys()) == (method in ("post", "put", "patch")), (
            f"{method} {path}"
        )


def has_example(described: dict[str, Any], content: dict[str, Any]) -> bool:
    """Tell whether a body shows what it looks like, itself or by its schema."""
    if content.get("example") or content.get("examples"):
        return True
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return bool(schema.get("examples"))


def test_a_process_of_the_pricing_surface_loads_no_router_of_the_other() -> None:
    code = (
        "import sys, api.main; api.main.bare_app('pricing');"
        " print(*(name for name in sys.modules if name.startswith('api.routers.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parents[1], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "api.routers.predictions" in loaded
    assert not loaded & {"api.routers.keys", "api.routers.rounds", "api.routers.webhooks", "api.routers.estimates"}
