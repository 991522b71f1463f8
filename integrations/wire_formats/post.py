"""Builds a format's POST request: URL, body bytes, common headers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from integrations.transport.base import Headers, Request
from integrations.wire_formats.auth import prepare, secrets_of
from integrations.wire_formats.base import HOPS_HEADER, USER_AGENT, Message, PayloadError

JSON_HEADERS: Headers = (("Content-Type", "application/json"), ("User-Agent", USER_AGENT))

#: Characters that need no escaping in a path (RFC 3986), and `%` for text that is already escaped.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._?"


def post(message: Message, body: bytes, headers: Headers, *, timeout: float | None = None) -> Request:
    """Return a POST to the integration's URL with `headers`, then its auth and static headers.

    `timeout`: seconds; None takes the integration's. Raises PayloadError if a header cannot be sent.
    """
    endpoint = message.endpoint
    prepared = prepare(endpoint)
    if message.hops:
        headers = (*headers, (HOPS_HEADER, str(message.hops)))
    return Request(
        "POST",
        join_path(endpoint.url, message.path) if message.path else endpoint.url,
        headers + prepared.headers,
        body,
        endpoint.timeout if timeout is None else timeout,
        secrets_of(message, prepared),
    )


@lru_cache(maxsize=4096)
def join_path(url: str, path: str) -> str:
    """Append `path` to the path of `url` with exactly one slash between them; the query stays at the end."""
    base, _, fragment = url.partition("#")
    base, _, query = base.partition("?")
    more, _, own_query = path.partition("?")
    more = quote(more.strip().lstrip("/"), safe=_PATH_SAFE)
    joined = f"{base.rstrip('/')}/{more}" if more else base
    own_query = quote(own_query.strip(), safe=_PATH_SAFE)
    queries = "&".join(part for part in (query, own_query) if part)
    return joined + (f"?{queries}" if queries else "") + (f"#{fragment}" if fragment else "")


def utf_8(text: str) -> bytes:
    """Encode `text` as UTF-8; raises PayloadError if it contains a lone surrogate."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PayloadError("payload", "The payload contains a lone surrogate, which is not a character.") from error


def payload_object(message: Message) -> dict[str, Any]:
    """Return the payload, which must be a JSON object; raises PayloadError if it is not."""
    payload = message.payload
    if isinstance(payload, dict):
        return payload
    found = json_kind(payload)
    if message.transformed_json is None:
        raise PayloadError("payload", f"The payload must be a JSON object to be sent in this format; it is {found}.")
    raise PayloadError(
        "transform",
        f"The transform's result must be a JSON object to be sent in this format; it is {found}. "
        "Correct the subscription's transform.",
    )


def json_kind(value: Any) -> str:
    """Return the type of a JSON value in words: "an array", "null"…"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a number"


def event_name(message: Message) -> str:
    """Return the topic, or the intent if the event has only an intent, or `ping` for a ping."""
    return "ping" if message.is_ping else message.topic or message.intent or message.object_type


def iso(moment: datetime) -> str:
    """Format as ISO 8601 in UTC with Z, keeping the given precision."""
    moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return moment.isoformat()[:-6] + "Z"
