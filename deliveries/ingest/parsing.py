"""Parse the bodies of the push and event APIs. Every error names its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from deliveries.ingest.plan import PublishedEvent, PushedObject
from integrations.object_types import KEY_PATTERN, singular
from subscriptions.matching import check_topic_is_free, is_own_topic

MAX_BATCH = 1_000
MAX_NAME = 255
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Invalid(ValueError):
    """The push API does not accept the body (docs/contract.md#push-api). `field`: the path of the error."""

    def __init__(self, message: str, field: str | None = None, code: str = "parameter_invalid") -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.code = code


def read_objects(document: Any, overrides: Mapping[str, str]) -> list[PushedObject]:
    """Read `{"shipments": [{"id": …}]}`. Raises Invalid."""
    if not isinstance(document, dict):
        raise Invalid('The body must be a JSON object: {"shipments": [{"id": "1"}]}.', code="bad_request")
    if not document:
        raise Invalid('The body is empty. Send {"<plural type>": [ … ]}.', code="missing_parameter")
    return [item for plural, items in document.items() for item in _read_type(plural, items, overrides)]


def _read_type(plural: str, items: Any, overrides: Mapping[str, str]) -> list[PushedObject]:
    if not KEY_PATTERN.match(plural) or len(plural) > MAX_NAME - 20:
        raise Invalid(
            "A type must be a plural word of lower-case letters, digits, _ and - that starts with a letter.",
            plural[:100],
        )
    if not isinstance(items, list):
        raise Invalid("Must be an array of objects.", plural)
    kind = singular(plural, overrides)
    if is_own_topic(kind):
        raise Invalid(f"Objects of the type {kind} are Hookdesk's own. Choose another name.", plural)
    return [_read_object(kind, item, f"{plural}[{index}]") for index, item in enumerate(items)]


def _read_object(kind: str, item: Any, path: str) -> PushedObject:
    if not isinstance(item, dict):
        raise Invalid("Must be an object.", path)
    if "id" not in item:
        raise Invalid("Each object needs an id.", f"{path}.id", code="missing_parameter")
    return PushedObject(kind, _read_id(item["id"], f"{path}.id"), item, path)


def _read_id(value: Any, path: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid("An id must be a string or an integer.", path)
    text = str(value)
    if not 1 <= len(text) <= MAX_NAME:
        raise Invalid(f"An id must have 1 to {MAX_NAME} characters; this one has {len(text)}.", path)
    if CONTROL.search(text):
        raise Invalid("An id must not contain control characters.", path)
    return text


def read_events(document: Any, now: datetime) -> list[PublishedEvent]:
    """Read one event or an array of up to 1,000. Raises Invalid."""
    if isinstance(document, list):
        if len(document) > MAX_BATCH:
            raise Invalid(f"A batch may hold up to {MAX_BATCH:,} events; this one has {len(document):,}. Send several.")
        if not document:
            raise Invalid("The batch is empty.", code="missing_parameter")
        return [_read_event(item, f"[{index}]", now) for index, item in enumerate(document)]
    return [_read_event(document, "", now)]


def _read_event(item: Any, path: str, now: datetime) -> PublishedEvent:
    def at(name: str) -> str:
        return f"{path}.{name}" if path else name

    if not isinstance(item, dict):
        raise Invalid(
            'An event must be an object: {"topic": "user.created", "data": {…}}.', path or None, "bad_request"
        )
    topic, intent = item.get("topic"), item.get("intent")
    if topic is None and intent is None:
        raise Invalid("One of topic and intent is required.", at("topic"), "missing_parameter")
    if topic is not None:
        _check_name(topic, at("topic"), "A topic")
        try:
            check_topic_is_free(topic)
        except ValueError as error:
            raise Invalid(str(error), at("topic")) from None
    if intent is not None:
        _check_name(intent, at("intent"), "An intent")
    data = item.get("data", {})
    if not isinstance(data, dict):
        raise Invalid("data must be an object.", at("data"))
    return PublishedEvent(topic, intent, data, _read_time(item.get("occurred_at"), at("occurred_at"), now), path)


def _check_name(value: Any, path: str, what: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{what} must be a non-empty string.", path)
    if len(value) > MAX_NAME:
        raise Invalid(f"{what} may have up to {MAX_NAME} characters; this one has {len(value)}.", path)
    if CONTROL.search(value):
        raise Invalid(f"{what} must not contain control characters.", path)


def _read_time(value: Any, path: str, now: datetime) -> datetime:
    """Read ISO 8601 (UTC if no zone is given) or Unix seconds; defaults to now. Raises Invalid."""
    if value is None:
        return now
    moment: datetime | None = None
    try:
        if isinstance(value, str):
            moment = parse_datetime(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        if moment is not None:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None or not timedelta() < moment - datetime(1970, 1, 1, tzinfo=UTC) < timedelta(days=365 * 230):
        raise Invalid("A time must be ISO 8601, like 2026-01-31T12:00:00Z, or Unix seconds.", path)
    return moment
