"""Cursor paging: a page starts after the last row of the previous one, even if the table grows."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from integrations.api.errors import invalid

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 200
#: Characters of a query parameter.
LONGEST_QUERY_TEXT = 1000


def query_text(request: Request, name: str) -> str:
    """A query parameter, empty if absent. Raises parameter_invalid for what databases cannot store."""
    value = request.query_params.get(name, "")
    if "\0" in value or len(value) > LONGEST_QUERY_TEXT:
        raise invalid(f"{name} contains a NUL character or has more than 1,000 characters.", name)
    return value.strip()


def page(
    request: Request,
    rows: QuerySet[Any],
    show: Callable[[Any], Any],
    *,
    by: Sequence[str] = ("id",),
    is_descending: bool = True,
    envelope: Callable[[list[Any]], dict[str, Any]] | None = None,
    last: Model | None = None,
) -> Response:
    """The page that `?cursor=` and `?limit=` ask for, ordered by the fields `by`, whose last one is unique.

    `last`: one more row, ascending, behind all that are in the database; left out if one of those is where it would be.
    """
    limit = limit_of(request)
    sign, lookup = ("-", "lt") if is_descending else ("", "gt")
    after: list[Any] = []
    if cursor := query_text(request, "cursor"):
        after = _decoded(cursor, rows.model, by)
        rows = rows.filter(_behind(after, by, lookup))
    found = list(rows.order_by(*(f"{sign}{name}" for name in by))[: limit + 1])
    if last is not None and len(found) <= limit:
        before = _position(found[-1], by) if found else after
        found += [last] if not before or _position(last, by) > before else []
    has_more = len(found) > limit
    found = found[:limit]
    body = envelope([show(row) for row in found]) if envelope else {"items": [show(row) for row in found]}
    return Response(body | {"pages": {"next": _next_url(request, found[-1], by) if has_more else None}})


def page_of_several(
    request: Request,
    querysets: Sequence[QuerySet[Any]],
    show: Callable[[Any], Any],
    *,
    by: Sequence[str] = ("created_at", "id"),
) -> Response:
    """The page that `?cursor=` and `?limit=` ask for of rows from several tables, ascending by these fields of each."""
    limit = limit_of(request)
    if cursor := query_text(request, "cursor"):
        behind = _behind(_decoded(cursor, querysets[0].model, by), by, "gt")
        querysets = [rows.filter(behind) for rows in querysets]
    found = [row for rows in querysets for row in rows.order_by(*by)[: limit + 1]]
    found.sort(key=lambda row: _position(row, by))
    has_more, found = len(found) > limit, found[:limit]
    following = _next_url(request, found[-1], by) if has_more else None
    return Response({"items": [show(row) for row in found], "pages": {"next": following}})


def _position(row: Model, by: Sequence[str]) -> list[Any]:
    return [getattr(row, name) for name in by]


def limit_of(request: Request) -> int:
    """`?limit=`, or the usual one. Raises parameter_invalid."""
    if "limit" not in request.query_params:
        return DEFAULT_LIMIT
    written = query_text(request, "limit")
    if not (written.isascii() and written.isdecimal() and len(written) < 5 and 1 <= int(written) <= LARGEST_LIMIT):
        raise invalid(f"limit must be a number from 1 to {LARGEST_LIMIT}.", "limit")
    return int(written)


def _behind(values: Sequence[Any], by: Sequence[str], lookup: str) -> Q:
    condition = Q()
    for position, name in enumerate(by):
        same = {field: values[index] for index, field in enumerate(by[:position])}
        condition |= Q(**same, **{f"{name}__{lookup}": values[position]})
    return condition


def _next_url(request: Request, last: Model, by: Sequence[str]) -> str:
    query = request.query_params.copy()
    query["cursor"] = _encoded(_position(last, by))
    return f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"


def _encoded(values: Sequence[Any]) -> str:
    written = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps(written).encode()).decode().rstrip("=")


def _decoded(cursor: str, model: type[Model], by: Sequence[str]) -> list[Any]:
    try:
        written = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(written, list) or len(written) != len(by) or not all(isinstance(it, str) for it in written):
            raise ValueError(cursor)
        fields: list[Any] = [model._meta.get_field(name) for name in by]
        values = [field.to_python(it) for field, it in zip(fields, written, strict=True)]
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in values) or None in values:
            raise ValueError(cursor)
        if any(isinstance(value, datetime) and (value.tzinfo is None or value.year < 1970) for value in values):
            raise ValueError(cursor)
    except (ValueError, ValidationError, binascii.Error, UnicodeError, RecursionError):
        raise invalid("Invalid cursor. Start again without it.", "cursor") from None
    return values
