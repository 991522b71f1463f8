"""Strict access to body fields: a wrong type is an error naming the field, never a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from integrations.api.errors import APIError, invalid, missing

#: Characters of a free text such as a reason.
TEXT_LIMIT = 10_000


def body_of(request: Request) -> dict[str, Any]:
    """The body as an object; a missing body is an empty object."""
    data = request.data
    if not isinstance(data, dict):
        raise APIError(400, "The body must be a JSON object, such as {}.")
    return dict(data)


def text(body: dict[str, Any], field: str, *, default: str | None = None, limit: int = TEXT_LIMIT) -> str:
    """Raises missing_parameter if absent without a `default`."""
    value = body.get(field)
    if value is None:
        if default is None:
            raise missing(field)
        return default
    if not isinstance(value, str):
        raise invalid(f"{field} must be a string.", field)
    if len(value) > limit:
        raise invalid(f"{field} has {len(value)} characters; at most {limit} are allowed.", field)
    return value


def boolean(body: dict[str, Any], field: str, *, default: bool) -> bool:
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{field} must be true or false.", field)
    return value


def texts(body: dict[str, Any], field: str, *, default: list[str]) -> list[str]:
    """A list of texts."""
    value = body.get(field)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(f"{field} must be an array of strings.", field)
    return value


def mapping(body: dict[str, Any], field: str, *, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object. Raises missing_parameter if absent without a `default`."""
    value = body.get(field)
    if value is None:
        if default is None:
            raise missing(field)
        return default
    if not isinstance(value, dict):
        raise invalid(f"{field} must be an object.", field)
    return value


def moment(body: dict[str, Any], field: str) -> datetime | None:
    """ISO 8601; UTC if no zone is given."""
    written = text(body, field, default="", limit=64)
    if not written:
        return None
    try:
        value = parse_datetime(written)
    except ValueError:
        value = None
    if value is None or not 1970 < value.year < 9000:
        raise invalid(f"{field} must be a time in ISO 8601, such as 2030-01-31T08:00:00Z.", field)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
