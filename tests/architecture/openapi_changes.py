"""Compares two OpenAPI 3.1 documents and names every change that would break a client; additions pass.

What was announced as `deprecated` with an `x-sunset` day may go once that day has passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

Json = Mapping[str, Any]
Direction = Literal["request", "response"]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "contentMediaType")
_ANY = frozenset({"any"})


def breaking_changes(old: Json, new: Json, today: date) -> list[str]:
    """Return one sentence for each change from `old` to `new` that a client of `old` may stumble over."""
    return list(_Comparison(old, new, today).documents())


class _Comparison:
    def __init__(self, old: Json, new: Json, today: date) -> None:
        self._old = old
        self._new = new
        self._today = today
        # Schemas that contain themselves are compared once.
        self._compared: set[tuple[str, str, Direction]] = set()

    def documents(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method in (name for name in METHODS if name in operations):
                where = f"{method.upper()} {path}"
                changed = self._new["paths"].get(path, {}).get(method)
                if changed is not None:
                    yield from self._operation(where, operations[method], changed)
                elif not self._is_over(operations[method]):
                    yield f"{where}: was removed"

    def _is_over(self, announced: Json) -> bool:
        sunset = announced.get("x-sunset")
        return bool(announced.get("deprecated")) and sunset is not None and date.fromisoformat(sunset) <= self._today

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if _security(old) != _security(new):
            yield f"{where}: asks for other credentials"
        yield from self._parameters(where, old, new)
        yield from self._request_body(where, old.get("requestBody"), new.get("requestBody"))
        yield from self._responses(where, old["responses"], new["responses"])

    # --- what is sent --------------------------------------------------------------------------

    def _parameters(self, where: str, old: Json, new: Json) -> Iterator[str]:
        before, after = _by_name(old), _by_name(new)
        for key, parameter in after.items():
            was_required = before.get(key, {}).get("required", False)
            if parameter.get("required", False) and not was_required:
                yield f"{where}: the {key[1]} parameter {key[0]!r} must be sent now"
        for key, parameter in before.items():
            spot = f"{where}: the {key[1]} parameter {key[0]!r}"
            if key in after:
                yield from self._schema(spot, parameter["schema"], after[key]["schema"], "request")
            elif not self._is_over(parameter):
                yield f"{spot} is not taken any more"

    def _request_body(self, where: str, old: Json | None, new: Json | None) -> Iterator[str]:
        if new is not None and new.get("required", False) and not (old or {}).get("required", False):
            yield f"{where}: a body must be sent now"
        if old is None:
            return
        if new is None:
            yield f"{where}: a body is not taken any more"
            return
        yield from self._content(f"{where}: the body", old["content"], new["content"], "request")

    # --- what is answered ----------------------------------------------------------------------

    def _responses(self, where: str, old: Json, new: Json) -> Iterator[str]:
        for status, answer in old.items():
            spot = f"{where}: the answer {status}"
            if status not in new:
                yield f"{spot} is not given any more"
                continue
            for name in answer.get("headers", {}):
                if name not in new[status].get("headers", {}):
                    yield f"{spot} lacks the header {name!r}"
            yield from self._content(spot, answer.get("content", {}), new[status].get("content", {}), "response")

    def _content(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        for media_type, content in old.items():
            if media_type not in new:
                yield f"{where} is not {media_type} any more"
            else:
                schemas = content.get("schema", {}), new[media_type].get("schema", {})
                yield from self._schema(where, *schemas, direction)

    # --- schemas -------------------------------------------------------------------------------

    def _schema(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        if "$ref" in old and "$ref" in new:
            pair = (old["$ref"], new["$ref"], direction)
            if pair in self._compared:
                return
            self._compared.add(pair)
        before, after = _alternatives(self._old, old), _alternatives(self._new, new)
        yield from _types(where, before, after, direction)
        yield from _enums(where, before, after, direction)
        for one, other in _pairs(before, after):
            if direction == "request":
                yield from _limits(where, one, other)
            elif one.get("format") != other.get("format"):
                yield f"{where}: the format is {other.get('format')}, it was {one.get('format')}"
            yield from self._fields(where, one, other, direction)
            yield from self._contained(where, one, other, direction)

    def _fields(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required, now_required = set(old.get("required", ())), set(new.get("required", ()))
        if direction == "request":
            for name in sorted(now_required - required):
                yield f"{where}: the field {name!r} must be sent now"
        for name, field in before.items():
            if name in after:
                yield from self._schema(f"{where}.{name}", field, after[name], direction)
                if direction == "response" and name in required - now_required:
                    yield f"{where}: the field {name!r} may be missing now"
            elif not self._is_over(field):
                verb = "taken" if direction == "request" else "given"
                yield f"{where}: the field {name!r} is not {verb} any more"

    def _contained(self, where: str, old: Json, new: Json, direction: Direction) -> Iterator[str]:
        for keyword in ("items", "additionalProperties"):
            before, after = old.get(keyword, True), new.get(keyword, True)
            if direction == "request" and after is False and before is not False:
                yield f"{where}: unknown fields are refused now"
            elif isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self._schema(f"{where}[]", before, after, direction)
            elif direction == "request" and before is True and isinstance(after, Mapping) and after:
                yield f"{where}: {keyword} are limited now"


def _security(operation: Json) -> list[list[str]]:
    return sorted(sorted(requirement) for requirement in operation.get("security", []))


def _by_name(operation: Json) -> dict[tuple[str, str], Json]:
    return {(item["name"], item["in"]): item for item in operation.get("parameters", [])}


def _alternatives(document: Json, schema: Json) -> list[Json]:
    """Return what a value may be, references followed: one schema for each type or member of a union."""
    if "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _alternatives(document, found)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return [item for member in schema[keyword] for item in _alternatives(document, member)]
    if len(schema.get("allOf", ())) == 1:
        return _alternatives(document, schema["allOf"][0])
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _pairs(old: list[Json], new: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield alternatives that belong together: of the same title, or the only ones of their type."""
    for one in old:
        same_type = [other for other in new if _kind(other) == _kind(one)]
        same_title = [other for other in same_type if other.get("title") == one.get("title")]
        if len(same_title) == 1:
            yield one, same_title[0]
        elif len(same_type) == 1:
            yield one, same_type[0]


def _types(where: str, old: list[Json], new: list[Json], direction: Direction) -> Iterator[str]:
    before, after = {_kind(item) for item in old}, {_kind(item) for item in new}
    if direction == "request":
        for kind in sorted(before - _covered(after)):
            yield f"{where}: {kind} is not taken any more"
    else:
        for kind in sorted(after - _covered(before)):
            yield f"{where}: may be {kind} now"
    for kind in sorted(before & after):
        grown = _named(new, kind) - _named(old, kind)
        shrunk = _named(old, kind) - _named(new, kind)
        # One renamed member of its kind is no change; in a union of several a member is told by its name.
        several = max(len(_named(old, kind)), len(_named(new, kind))) > 1
        if several and direction == "request" and shrunk:
            yield f"{where}: {', '.join(sorted(shrunk))} is not taken any more"
        if several and direction == "response" and grown:
            yield f"{where}: may be {', '.join(sorted(grown))} now"


def _named(alternatives: list[Json], kind: str) -> set[str]:
    return {str(item.get("title")) for item in alternatives if _kind(item) == kind}


def _covered(kinds: set[str]) -> set[str]:
    if kinds & _ANY:
        return {"any", "array", "boolean", "integer", "null", "number", "object", "string"}
    return kinds | ({"integer"} if "number" in kinds else set())


def _kind(schema: Json) -> str:
    if "type" in schema:
        return str(schema["type"])
    values = _values(schema)
    if values:
        return "string" if all(isinstance(value, str) for value in values) else "any"
    return "object" if "properties" in schema else "any"


def _values(schema: Json) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _enums(where: str, old: list[Json], new: list[Json], direction: Direction) -> Iterator[str]:
    for kind in sorted({_kind(item) for item in old} & {_kind(item) for item in new}):
        before, after = _all_values(old, kind), _all_values(new, kind)
        if direction == "request":
            if after is not None and before is None:
                yield f"{where}: only certain values are taken now"
            elif after is not None and before is not None and before - after:
                yield f"{where}: {_listed(before - after)} is not taken any more"
        elif before is not None and after is None:
            yield f"{where}: may have any value now"
        elif before is not None and after is not None and after - before:
            yield f"{where}: may be {_listed(after - before)} now, which strict clients do not know"


def _all_values(alternatives: list[Json], kind: str) -> set[Any] | None:
    found: set[Any] = set()
    for item in alternatives:
        if _kind(item) == kind:
            values = _values(item)
            if values is None:
                return None
            found |= values
    return found


def _limits(where: str, old: Json, new: Json) -> Iterator[str]:
    for keyword in (*_LOWER_LIMITS, *_UPPER_LIMITS):
        before, after = old.get(keyword), new.get(keyword)
        is_narrower = after is not None and (
            before is None or (after > before if keyword in _LOWER_LIMITS else after < before)
        )
        if is_narrower:
            yield f"{where}: {keyword} is {after}, it was {before}"
    for keyword in _EXACT:
        if new.get(keyword) and new.get(keyword) != old.get(keyword):
            yield f"{where}: {keyword} is {new[keyword]}, it was {old.get(keyword)}"


def _listed(values: set[Any]) -> str:
    return ", ".join(sorted(repr(value) for value in values))
