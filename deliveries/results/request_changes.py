"""Describe how two requests of one delivery differ. Pure.

A resend with the same payload may send a different request, because a transform, a URL, headers or the format were
changed in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.foundation.json_documents import describe_patch, is_same, json_patch

#: Most differences listed, and the largest body that is compared; larger ones are only reported as different.
LISTED = 8
COMPARED_BYTES = 200_000
#: Most kinds of change named for one pair of requests.
KINDS = 6
#: Headers that differ between any two attempts, which means nothing.
_EVERY_TIME = frozenset({"content-length", "date", "traceparent"})
_EVERY_TIME_PARTS = ("signature", "timestamp")
_EVERY_TIME_PATHS = frozenset({"/delivery_attempts"})


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as stored: credentials masked, the body as text."""

    method: str
    url: str
    headers: Sequence[Sequence[str]]
    body: str


def request_changes(before: SentRequest, after: SentRequest) -> list[str]:
    """Return one line per difference; empty if the requests look the same to a receiver."""
    lines = []
    if before.method != after.method:
        lines.append(f"Method: {before.method} → {after.method}")
    if before.url != after.url:
        lines.append(f"URL: {before.url} → {after.url}")
    lines += _header_changes(before.headers, after.headers)
    return [*lines, *_body_changes(before.body, after.body)][:LISTED]


def kinds_of_change(before: SentRequest, after: SentRequest) -> tuple[str, ...]:
    """Return what differs, without values, so that similar differences of many pairs can be counted together.

    For example `body.phone removed`, `body.items[].sku changed`, `header x-team added`. Empty if the requests look the
    same to a receiver.
    """
    kinds = []
    if before.method != after.method:
        kinds.append("method changed")
    if before.url != after.url:
        kinds.append("URL changed")
    old, new = _by_name(before.headers), _by_name(after.headers)
    kinds += [f"header {name} {how}" for name, how in sorted(_members(old, new))]
    kinds += _kinds_of_body(before.body, after.body)
    return tuple(kinds) if len(kinds) <= KINDS else (*kinds[:KINDS], f"{len(kinds) - KINDS} more")


def _members(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each member that differs, and how it differs."""
    for name in old.keys() | new.keys():
        if name not in new:
            yield name, "removed"
        elif name not in old:
            yield name, "added"
        elif not is_same(old[name], new[name]):
            yield name, "changed"


def _kinds_of_body(before: str, after: str) -> list[str]:
    if before == after:
        return []
    old, new = (_parsed(text) if len(text) <= COMPARED_BYTES else None for text in (before, after))
    if old is None or new is None:
        return ["body changed"]
    kinds: set[str] = set()
    _add_kinds(old, new, "", kinds)
    return [f"body{kind}" for kind in sorted(kinds)]


def _add_kinds(old: Any, new: Any, place: str, kinds: set[str]) -> None:
    """Add the paths below `place` at which two JSON values differ. All items of an array share one path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name, how in _members(old, new):
            if not place and f"/{name}" in _EVERY_TIME_PATHS:
                continue
            below = f"{place}.{name}"
            if how == "changed":
                _add_kinds(old[name], new[name], below, kinds)
            else:
                kinds.add(f"{below} {how}")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            kinds.add(f"{place}[] {'longer' if len(new) > len(old) else 'shorter'}")
        for one, other in zip(old, new, strict=False):
            if not is_same(one, other):
                _add_kinds(one, other, f"{place}[]", kinds)
    else:
        kinds.add(f"{place} changed")


def _header_changes(before: Iterable[Sequence[str]], after: Iterable[Sequence[str]]) -> list[str]:
    old, new = _by_name(before), _by_name(after)
    lines = []
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) == new.get(name):
            continue
        if name not in new:
            lines.append(f"Header {name}: no longer sent")
        else:
            was = f"{old[name]} → " if name in old else "new, "
            lines.append(f"Header {name}: {was}{new[name]}"[:300])
    return lines


def _by_name(pairs: Iterable[Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        lowered = str(name).lower()
        if lowered not in _EVERY_TIME and not any(part in lowered for part in _EVERY_TIME_PARTS):
            found[lowered] = f"{found[lowered]}, {value}" if lowered in found else str(value)
    return found


def _body_changes(before: str, after: str) -> list[str]:
    if before == after:
        return []
    if max(len(before), len(after)) > COMPARED_BYTES:
        return ["Body: different"]
    old, new = _parsed(before), _parsed(after)
    if old is None or new is None:
        return ["Body: different"]
    steps = [step for step in json_patch(old, new) if step["path"] not in _EVERY_TIME_PATHS]
    return [f"Body: {line}" for line in describe_patch(steps)]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
