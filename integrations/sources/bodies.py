"""Reading bodies: JSON, forms, and what is compressed. Pure; what cannot be read raises `Unreadable`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from integrations.foundation.strict_json import DocumentError, parse_document
from integrations.sources.base import Incoming, Unreadable

FORM = "application/x-www-form-urlencoded"
#: Fields of one form, and levels of brackets in a name of one.
FIELD_LIMIT = 10_000
DEPTH_LIMIT = 20

_CONTROL_NUL = "\0"
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
#: zlib's window bits: gzip; zlib or raw for what is called deflate.
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decompressed(raw: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding. Never makes more than `limit` bytes: 413; 415 for other encodings."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return raw
    if name not in _WINDOWS:
        raise Unreadable("Send the body plain, or compressed with gzip or deflate.", "Content-Encoding", 415)
    windows = [_WINDOWS[name], -15] if name == "deflate" else [_WINDOWS[name]]
    for window in windows:
        machine = zlib.decompressobj(window)
        try:
            plain = machine.decompress(raw, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise Unreadable(f"The body has more than {limit} bytes when it is decompressed.", status=413)
        if not machine.eof or machine.unused_data:
            break
        return plain
    raise Unreadable(f"The body is not {name}, as Content-Encoding says.", "Content-Encoding")


def json_body(request: Incoming) -> Any:
    try:
        return parse_document(request.body)
    except DocumentError as error:
        raise Unreadable(error.message, error.field, 413 if error.code == "too_large" else 400) from None


def json_object(request: Incoming) -> dict[str, Any]:
    found = json_body(request)
    if not isinstance(found, dict):
        raise Unreadable("The body must be a JSON object.")
    return found


def form_pairs(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form, in their order. A name may come several times."""
    try:
        text = body.decode()
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=FIELD_LIMIT
        )
    except ValueError:
        raise Unreadable("The body is not a form (application/x-www-form-urlencoded in UTF-8).") from None
    for name, value in pairs:
        if _CONTROL_NUL in name or _CONTROL_NUL in value:
            raise Unreadable("The form contains a NUL character. Remove it.", name.replace(_CONTROL_NUL, "?")[:100])
    return pairs


def form_fields(body: bytes) -> dict[str, Any]:
    """A form as an object: `data[merges][EMAIL]=…` is nested, a name that repeats is a list."""
    found: dict[str, Any] = {}
    for name, value in form_pairs(body):
        _put(found, _path(name), value)
    return found


def _path(name: str) -> list[str]:
    first, bracket, _ = name.partition("[")
    inner = _BRACKETS.findall(name)
    if not bracket or f"{first}{''.join(f'[{part}]' for part in inner)}" != name or len(inner) > DEPTH_LIMIT:
        return [name]
    return [first, *inner]


def _put(place: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        place = inner
    last = path[-1]
    if last not in place:
        place[last] = value
    elif isinstance(place[last], list):
        place[last].append(value)
    elif not isinstance(place[last], dict):
        place[last] = [place[last], value]


def text_at(value: Any, *path: str) -> str | None:
    """The text (or whole number, as text) at a path of keys; None for anything else, and for an empty one."""
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def object_at(value: Any, *path: str) -> dict[str, Any] | None:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else None


def as_object(value: Any) -> dict[str, Any]:
    """What an event's data can be: an object as it is, anything else as `{"value": …}`."""
    return value if isinstance(value, dict) else {"value": value}


def topic_of(*words: str | None) -> str | None:
    """Words joined by dots; what a topic cannot hold (slashes, blanks) separates or joins words. None of nothing."""
    text = ".".join(word for word in words if word)
    text = re.sub(r"[/:.]+", ".", text)
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip(".") or None
