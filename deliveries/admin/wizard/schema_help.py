"""A JSON Schema as lines for non-programmers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

LINES_LIMIT: Final = 40
_BOUNDS: Final = (
    ("pattern", gettext_lazy("looks like %(value)s")),
    ("format", gettext_lazy("a %(value)s")),
    ("minLength", gettext_lazy("at least %(value)s characters")),
    ("maxLength", gettext_lazy("at most %(value)s characters")),
    ("minimum", gettext_lazy("at least %(value)s")),
    ("maximum", gettext_lazy("at most %(value)s")),
    ("description", "%(value)s"),
)


@dataclass(frozen=True, slots=True)
class SchemaLine:
    path: str
    kind: str
    is_required: bool
    notes: str


def schema_lines(schema: Any) -> list[SchemaLine]:
    """The fields that a schema describes, at most `LINES_LIMIT`."""
    found = []
    for line in _walk(schema, "", 0):
        found.append(line)
        if len(found) == LINES_LIMIT:
            break
    return found


def _walk(schema: Any, path: str, depth: int) -> Iterator[SchemaLine]:
    if not isinstance(schema, Mapping) or depth > 6:
        return
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    properties = schema.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    for name in [*known, *(name for name in names if name not in known)]:
        inner = known.get(name)
        here = f"{path}.{name}" if path else str(name)
        yield SchemaLine(here, _kind(inner), name in names, _notes(inner))
        yield from _walk(inner, here, depth + 1)
        if isinstance(inner, Mapping):
            yield from _walk(inner.get("items"), f"{here}[]", depth + 1)


def _kind(schema: Any) -> str:
    kind = schema.get("type", "") if isinstance(schema, Mapping) else ""
    return f" {_('or')} ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _notes(schema: Any) -> str:
    if not isinstance(schema, Mapping):
        return ""
    notes = [words % {"value": schema[name]} for name, words in _BOUNDS if name in schema]
    if isinstance(schema.get("enum"), list):
        notes.insert(0, _("one of %(values)s") % {"values": ", ".join(map(str, schema["enum"][:12]))})
    return "; ".join(notes)
