"""One field inside payloads: read, set or removed without changing the payload itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import jsonpointer
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.foundation.json_paths import path_of
from integrations.foundation.languages import gettext_noop
from integrations.foundation.strict_json import compact_json

Place = tuple[str | int, ...]

_PART = re.compile(r"\[(\d{1,9})\]|(?:^|\.)([^.\[\]]+)")
DEEPEST: Final = 50
#: Leaves of one payload that are offered as fields.
FIELDS_LIMIT: Final = 500


class _Missing:
    """There is no such field. Where a value is put: it is to be removed."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


class PlaceError(ValueError):
    """It names no field, or the payload has no room for it; the message says why."""


def parse_place(text: str) -> Place:
    """`items[0].price`, or a JSON Pointer (`/items/0/price`) where a name holds dots. Raises PlaceError."""
    text = text.strip()
    if text.startswith("/"):
        return _of_pointer(text)
    parts: list[str | int] = []
    end = 0
    for match in _PART.finditer(text):
        if match.start() != end:
            break
        parts.append(int(match[1]) if match[1] else match[2])
        end = match.end()
    if not parts or end != len(text) or len(parts) > DEEPEST:
        raise PlaceError(
            _("%(text)r names no field. Write it as shipping_address.phone or items[0].price.") % {"text": text[:100]}
        )
    return tuple(parts)


def _of_pointer(text: str) -> Place:
    try:
        parts = jsonpointer.JsonPointer(text).parts
    except jsonpointer.JsonPointerException:
        raise PlaceError(_("%(text)r is not a JSON Pointer.") % {"text": text[:100]}) from None
    if len(parts) > DEEPEST:
        raise PlaceError(_("%(text)r is too deep.") % {"text": text[:100]})
    return tuple(int(part) if re.fullmatch(r"0|[1-9]\d{0,8}", part) else part for part in parts)


def spelled(place: Place) -> str:
    """The place as people write it, or as a pointer where that would be read otherwise."""
    path = path_of(place)
    try:
        if parse_place(path) == place:
            return path
    except PlaceError:
        pass
    return pointer(place)


def as_spelled(text: str) -> str:
    """A place that was kept, as people write it. As it is, if it names no field: no page is to fail over one row."""
    try:
        return spelled(parse_place(text))
    except PlaceError:
        return text


def pointer(place: Place) -> str:
    return "".join("/" + jsonpointer.escape(str(part)) for part in place)


def look_up(payload: Any, place: Place) -> Any:
    """The value there; `MISSING` if there is none."""
    for part in place:
        if isinstance(payload, dict):
            payload = payload.get(str(part), MISSING)
        elif isinstance(payload, list) and isinstance(part, int) and part < len(payload):
            payload = payload[part]
        else:
            return MISSING
        if payload is MISSING:
            return MISSING
    return payload


def put(payload: Any, place: Place, value: Any) -> Any:
    """A copy of `payload` with `value` there; `MISSING` removes. Objects on the way are made. Raises PlaceError."""
    if not place:
        return value
    part, rest = place[0], place[1:]
    if isinstance(payload, list):
        return _put_in_list(payload, part, rest, value)
    if payload is MISSING or payload is None:
        if value is MISSING:
            return payload
        payload = {}
    if not isinstance(payload, dict):
        raise PlaceError(_("There is %(kind)s where an object would have to be.") % {"kind": _(kind_of(payload))})
    key = str(part)
    inner = put(payload.get(key, MISSING), rest, value)
    if inner is MISSING:
        return {name: item for name, item in payload.items() if name != key}
    return {**payload, key: inner}


def _put_in_list(items: list[Any], part: str | int, rest: Place, value: Any) -> list[Any]:
    if not isinstance(part, int):
        raise PlaceError(_("There is a list, which has no field %(part)r.") % {"part": part})
    if part >= len(items):
        if value is MISSING:
            return items
        message = ngettext(
            "The list has %(number)s item, so none at [%(position)s].",
            "The list has %(number)s items, so none at [%(position)s].",
            len(items),
        )
        raise PlaceError(message % {"number": len(items), "position": part})
    inner = put(items[part], rest, value)
    if inner is MISSING:
        return items[:part] + items[part + 1 :]
    return [*items[:part], inner, *items[part + 1 :]]


def fields_of(payload: Any) -> Iterator[tuple[Place, Any]]:
    """Every member that is no container, in the order of the document, at most `FIELDS_LIMIT`."""
    waiting: list[tuple[Place, Any]] = [((), payload)]
    left = FIELDS_LIMIT
    while waiting and left:
        place, value = waiting.pop()
        if isinstance(value, dict) and len(place) < DEEPEST:
            waiting.extend(reversed([((*place, key), item) for key, item in value.items()]))
        elif isinstance(value, list) and len(place) < DEEPEST:
            waiting.extend(reversed([((*place, index), item) for index, item in enumerate(value[:20])]))
        elif place:
            left -= 1
            yield place, value


def in_jmespath(place: Place) -> str:
    """The place as an expression."""
    text = "@"
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else "." + compact_json(part)
    return text


def kind_of(value: Any) -> str:
    """What sort of value it is, in plain English words, marked for translation."""
    if value is MISSING:
        return gettext_noop("missing")
    if value is None:
        return gettext_noop("null")
    if isinstance(value, bool):
        return gettext_noop("true or false")
    if isinstance(value, int | float):
        return gettext_noop("a number")
    if isinstance(value, str):
        return gettext_noop("text")
    return gettext_noop("a list") if isinstance(value, list) else gettext_noop("an object")
