"""What counts as breaking a client, rule by rule; each on a small document with one change."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from tests.architecture.openapi_changes import breaking_changes

TODAY = date(2027, 7, 1)


def a_document() -> dict[str, Any]:
    answer = {
        "type": "object",
        "required": ["id", "outcome"],
        "properties": {
            "id": {"type": "string"},
            "outcome": {"enum": ["damaged", "none"], "type": "string"},
            "since": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
            "inner": {"$ref": "#/components/schemas/Answer"},
        },
    }
    request = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 100},
            "size": {"type": "number", "minimum": 0},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
    operation = {
        "security": [{"ApiKey": []}],
        "parameters": [{"name": "limit", "in": "query", "required": False, "schema": {"type": "integer"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {
                "headers": {"X-Model": {}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
            },
            "404": {"content": {}},
        },
    }
    return {"paths": {"/v1/things": {"post": operation}}, "components": {"schemas": {"Answer": answer}}}


def test_the_same_document_breaks_nobody() -> None:
    assert breaking_changes(a_document(), a_document(), TODAY) == []


OPERATION = "paths /v1/things post"
BODY = f"{OPERATION} requestBody content application/json schema"
ANSWER = "components schemas Answer"
REMOVED = object()


def changed(place: str, value: Any) -> dict[str, Any]:
    document = a_document()
    spot: Any = document
    *parents, last = place.split()
    for part in parents:
        spot = spot[int(part) if isinstance(spot, list) else part]
    if value is REMOVED:
        del spot[last]
    else:
        spot[last] = value
    return document


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ("paths /v1/things", {}, "was removed"),
        (OPERATION, REMOVED, "was removed"),
        (f"{OPERATION} security", [{"Other": []}], "other credentials"),
        (f"{OPERATION} security", [], "other credentials"),
        (f"{OPERATION} parameters", [], "'limit' is not taken"),
        (f"{OPERATION} parameters 0 required", True, "'limit' must be sent"),
        (f"{OPERATION} parameters 0 schema", {"type": "integer", "maximum": 5}, "maximum is 5"),
        (f"{OPERATION} parameters 0 schema", {"type": "boolean"}, "integer is not taken"),
        (f"{OPERATION} requestBody content", {"text/plain": {}}, "is not application/json any more"),
        (f"{OPERATION} requestBody", REMOVED, "a body is not taken"),
        (f"{BODY} required", ["name", "size"], "'size' must be sent"),
        (f"{BODY} properties size", REMOVED, "'size' is not taken"),
        (f"{BODY} properties size type", "integer", "number is not taken"),
        (f"{BODY} properties size minimum", 1, "minimum is 1, it was 0"),
        (f"{BODY} properties name maxLength", 50, "maxLength is 50"),
        (f"{BODY} properties name pattern", "^x", "pattern is ^x"),
        (f"{BODY} properties name enum", ["a"], "only certain values"),
        (f"{BODY} properties kind enum", ["a"], "'b' is not taken"),
        (f"{BODY} properties tags items", {"type": "integer"}, "string is not taken"),
        (f"{BODY} additionalProperties", False, "unknown fields are refused"),
        (f"{OPERATION} responses 404", REMOVED, "the answer 404 is not given"),
        (f"{OPERATION} responses 200 headers", {}, "lacks the header 'X-Model'"),
        (f"{OPERATION} responses 200 content", {"text/plain": {}}, "is not application/json any more"),
        (f"{ANSWER} properties id", REMOVED, "'id' is not given"),
        (f"{ANSWER} properties since", REMOVED, "'since' is not given"),
        (f"{ANSWER} required", ["id"], "'outcome' may be missing"),
        (f"{ANSWER} properties id type", "integer", "may be integer now"),
        (f"{ANSWER} properties id", {"type": ["string", "null"]}, "may be null now"),
        (f"{ANSWER} properties id format", "uuid", "the format is uuid"),
        (f"{ANSWER} properties outcome enum", ["damaged", "none", "unsure"], "may be 'unsure' now"),
        (f"{ANSWER} properties outcome", {"type": "string"}, "may have any value"),
    ],
)
def test_it_breaks_a_client(place: str, value: Any, sentence: str) -> None:
    found = breaking_changes(a_document(), changed(place, value), TODAY)
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("paths /v1/more", {"get": {"responses": {}}}),
        (f"{OPERATION} responses 429", {"content": {}}),
        (f"{OPERATION} parameters 0 schema", {"type": ["integer", "null"]}),
        (f"{OPERATION} parameters 0 schema", {"type": "number"}),
        (f"{OPERATION} requestBody required", False),
        (f"{BODY} required", []),
        (f"{BODY} properties more", {"type": "string"}),
        (f"{BODY} properties size minimum", -1),
        (f"{BODY} properties name maxLength", REMOVED),
        (f"{BODY} properties kind enum", ["a", "b", "c"]),
        (f"{ANSWER} properties more", {"type": "string"}),
        (f"{ANSWER} required", ["id", "outcome", "since"]),
        (f"{ANSWER} properties outcome enum", ["damaged"]),
        (f"{ANSWER} properties since", {"type": "string", "format": "date-time"}),
        (f"{ANSWER} description", "More words."),
    ],
)
def test_it_breaks_nobody(place: str, value: Any) -> None:
    assert breaking_changes(a_document(), changed(place, value), TODAY) == []


@pytest.mark.parametrize(("sunset", "n_broken"), [("2027-06-30", 0), ("2027-07-01", 0), ("2027-07-02", 1)])
def test_what_was_announced_may_go_on_its_day(sunset: str, n_broken: int) -> None:
    old = deepcopy(a_document())
    old["paths"]["/v1/things"]["post"] |= {"deprecated": True, "x-sunset": sunset}
    assert len(breaking_changes(old, {"paths": {}, "components": {}}, TODAY)) == n_broken


def test_what_is_deprecated_without_a_day_stays() -> None:
    old = changed(f"{ANSWER} properties since deprecated", True)
    assert len(breaking_changes(old, changed(f"{ANSWER} properties since", REMOVED), TODAY)) == 1
    old["components"]["schemas"]["Answer"]["properties"]["since"]["x-sunset"] = "2027-01-01"
    assert breaking_changes(old, changed(f"{ANSWER} properties since", REMOVED), TODAY) == []


def test_a_union_is_told_by_the_names_of_its_members() -> None:
    def union(*titles: str) -> list[dict[str, Any]]:
        return [{"type": "object", "title": title, "properties": {}} for title in titles]

    body = f"{BODY} properties kind"
    old, new = changed(body, {"oneOf": union("Cat", "Dog")}), changed(body, {"oneOf": union("Cat", "Cow")})
    assert [s.split(": ", 1)[1] for s in breaking_changes(old, new, TODAY)] == [
        "the body.kind: Dog is not taken any more"
    ]
