"""The API's documentation as a page of the desk: each operation with its fields, a `curl` command and its answers.

Rendered from the OpenAPI schema on the server: no script, and it follows theme, width and font like every other page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext_lazy

from deliveries.admin.wizard.schema_help import SchemaLine, schema_lines
from deliveries.results.curl_command import curl_command

METHODS: Final = ("get", "post", "put", "patch", "delete")
COLOURS: Final = {"get": "busy", "post": "good", "put": "warn", "patch": "warn", "delete": "bad"}
#: References within references are followed so deep; what lies below is named only.
DEPTH: Final = 6
PLACES: Final = {
    "path": gettext_lazy("in the path"),
    "query": gettext_lazy("in the query"),
    "header": gettext_lazy("in the header"),
}


@dataclass(frozen=True)
class Operation:
    """One method of one path; `parameters` and `fields` are lines for people."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[SchemaLine]
    fields: list[SchemaLine]
    curl: str
    responses: list[tuple[str, str, list[SchemaLine]]]

    @property
    def colour(self) -> str:
        return COLOURS[self.method.lower()]


def docs_page(request: HttpRequest, described: Mapping[str, Any]) -> HttpResponse:
    """The page of the schema `described`."""
    base = request.build_absolute_uri("/").rstrip("/")
    found = sections(json.dumps(described), base, get_language() or "")
    context = {"title": "API", "sections": found, "description": _about(described)}
    return render(request, "api_docs.html", context)


@lru_cache(maxsize=8)
def sections(schema: str, base: str, language: str = "") -> list[tuple[str, list[Operation]]]:
    """Operations by tag, in the schema's order; `base` is where the commands lead, `language` that of the page."""
    described = json.loads(schema)
    found: dict[str, list[Operation]] = {}
    for path, methods in described["paths"].items():
        for method in METHODS:
            if method in methods:
                given = _resolved(methods[method], described, 0)
                tag = (given.get("tags") or ["other"])[0]
                found.setdefault(tag, []).append(_operation(method, path, given, base))
    return list(found.items())


def _operation(method: str, path: str, given: Mapping[str, Any], base: str) -> Operation:
    body = _json_schema(given.get("requestBody", {}))
    return Operation(
        name=given["operationId"],
        method=method.upper(),
        path=path,
        summary=given.get("summary") or given["operationId"].replace("_", " ").capitalize(),
        description=given.get("description", ""),
        parameters=[_parameter(each) for each in given.get("parameters", [])],
        fields=schema_lines(body),
        curl=_curl(method.upper(), base + path, body),
        responses=[
            (status, each.get("description", ""), schema_lines(_json_schema(each)))
            for status, each in given.get("responses", {}).items()
        ],
    )


def _parameter(given: Mapping[str, Any]) -> SchemaLine:
    """A parameter as the lines of a schema show it, with the place where it goes."""
    name = given["name"]
    shown = {"properties": {name: given.get("schema", {})}, "required": [name] if given.get("required") else []}
    line = schema_lines(shown)[0]
    place = str(PLACES.get(given["in"], given["in"]))
    notes = "; ".join(filter(None, [place, line.notes, given.get("description", "")]))
    return SchemaLine(name, line.kind, line.is_required, notes)


def _json_schema(given: Mapping[str, Any]) -> Any:
    schema = given.get("content", {}).get("application/json", {}).get("schema", {})
    return schema.get("items", schema) if schema.get("type") == "array" else schema


def _curl(method: str, url: str, body: Any) -> str:
    headers = [("Authorization", "Bearer ***")]
    text = ""
    if method in ("POST", "PUT", "PATCH") and body:
        headers.append(("Content-Type", "application/json"))
        text = json.dumps(body.get("example", _sample(body)), ensure_ascii=False)
    return curl_command(method=method, url=url, headers=headers, body=text).replace(
        "YOUR_AUTHORIZATION", "YOUR_ACCESS_TOKEN"
    )


def _sample(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The required fields of an object, each with a value of its type."""
    known = schema.get("properties", {})
    return {name: _value(known.get(name, {})) for name in schema.get("required", [])}


def _value(schema: Mapping[str, Any]) -> Any:
    if "example" in schema or schema.get("enum"):
        return schema.get("example", (schema.get("enum") or [None])[0])
    return {"integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}.get(schema.get("type", ""), "…")


def _resolved(value: Any, described: Mapping[str, Any], depth: int) -> Any:
    """`value` with what its references name in their place."""
    if isinstance(value, Mapping):
        if "$ref" in value:
            name = str(value["$ref"]).rpartition("/")[2]
            if depth > DEPTH:
                return {"type": name}
            return _resolved(described["components"]["schemas"].get(name, {}), described, depth + 1)
        return {key: _resolved(each, described, depth) for key, each in value.items()}
    return [_resolved(each, described, depth) for each in value] if isinstance(value, list) else value


def _about(described: Mapping[str, Any]) -> str:
    return str(described.get("info", {}).get("description", ""))
