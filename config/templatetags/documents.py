"""Renders payloads and responses: foldable JSON, indented XML, plain text. Everything in them is inert.

The output is bounded, so that a body of megabytes does not become a page of hundreds; the raw bytes are one
click away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.desk.written import grouped
from integrations.foundation.json_paths import pointer_from

register = template.Library()

NODE_LIMIT: Final = 3_000  #: values of a JSON document that are rendered individually
TEXT_LIMIT: Final = 100_000  #: characters of plain text that are shown
LEAF_LIMIT: Final = 5_000  #: characters of one string
DEPTH_OPEN: Final = 6  #: levels that start unfolded

_MARKUP = re.compile(r"(<[^>]*>)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class _TooLarge(Exception):
    pass


@register.simple_tag
def document(value: Any, suspects: Collection[str] = ()) -> SafeString:
    """A JSON value as a folding tree. `suspects` are JSON Pointers of fields to highlight."""
    try:
        drawn = _Tree(frozenset(suspects)).value(value, "", "", "", 0)
    except (_TooLarge, RecursionError):
        return plain(json.dumps(value, indent=1, ensure_ascii=False, default=str))
    return format_html('<div class="doc" translate="no">{}</div>', mark_safe(drawn))  # noqa: S308 - escaped below


@register.simple_tag
def body(text: str | None, kind: str = "") -> SafeString:
    """A request or response body by type: JSON, XML or text. `kind` is the Content-Type, if known."""
    if not text:
        return format_html('<p class="quiet">{}</p>', _("empty"))
    stripped = text.lstrip()
    if stripped[:1] in "{[" and len(text) <= 1_000_000:
        try:
            return document(json.loads(text))
        except (ValueError, RecursionError):
            return plain(text)
    if stripped[:5] == "<?xml" or "xml" in kind:
        return plain(indented_xml(text))
    return plain(text)


@register.filter
def pretty(value: Any) -> str:
    """JSON text with two spaces of indentation, for text areas and differences."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def plain(text: str) -> SafeString:
    cut = text[:TEXT_LIMIT]
    more = f"\n… {_cut(len(text) - TEXT_LIMIT)}" if len(text) > TEXT_LIMIT else ""
    shown = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", cut)
    return format_html('<pre class="doc" translate="no" tabindex="0">{}{}</pre>', shown, more)


def _cut(number: int) -> str:
    return ngettext(
        "%(number)s more character: download the body", "%(number)s more characters: download the body", number
    ) % {"number": grouped(number)}


def indented_xml(text: str) -> str:
    """XML with one element per line. Only tags are matched; nothing is parsed, so entity bombs are harmless."""
    depth, lines = 0, []
    parts = [part for part in _MARKUP.split(text[:TEXT_LIMIT]) if part.strip()]
    index = 0
    while index < len(parts):
        part = parts[index].strip()
        if part.startswith("</"):
            depth = max(0, depth - 1)
            lines.append("  " * depth + part)
        elif part.startswith("<") and not part.startswith(("<?", "<!")) and not part.endswith("/>"):
            # <name>text</name> stays on one line.
            inner = parts[index + 1 : index + 3]
            if len(inner) == 2 and not inner[0].startswith("<") and inner[1].startswith("</"):
                lines.append("  " * depth + part + inner[0].strip() + inner[1])
                index += 2
            elif inner[:1] and inner[0].startswith("</"):
                lines.append("  " * depth + part + inner[0])
                index += 1
            else:
                lines.append("  " * depth + part)
                depth += 1
        else:
            lines.append("  " * depth + part)
        index += 1
    return "\n".join(lines)


class _Tree:
    """Writes the nodes of one document; every text in it goes through `escape`."""

    def __init__(self, suspects: frozenset[str]) -> None:
        self.suspects = suspects
        self.count = 0

    def value(self, value: Any, key: str, path: str, comma: str, depth: int) -> str:
        self.count += 1
        if self.count > NODE_LIMIT:
            raise _TooLarge
        label = f'<span class="doc-key">{escape(json.dumps(key, ensure_ascii=False))}</span>: ' if key else ""
        if isinstance(value, dict) and value:
            return self._branch(list(value.items()), label, path, comma, depth, "{}")
        if isinstance(value, list) and value:
            return self._branch([("", item) for item in value], label, path, comma, depth, "[]")
        line = f"{label}{_leaf(value)}{comma}</div>"
        if path in self.suspects:
            return f'<div class="doc-line suspect" data-note="{escape(_("check here"))}">{line}'
        return f'<div class="doc-line">{line}'

    def _branch(self, items: list[tuple[str, Any]], label: str, path: str, comma: str, depth: int, pair: str) -> str:
        lines = []
        last = len(items) - 1
        for index, (name, item) in enumerate(items):
            step = pointer_from([name if pair == "{}" else index])
            # An empty key is a key: show it.
            key = name if pair == "[]" or name else " "
            lines.append(self.value(item, key, f"{path}{step}", "" if index == last else ",", depth + 1))
        number = len(items)
        if pair == "{}":
            counted = ngettext("%(number)s field", "%(number)s fields", number)
        else:
            counted = ngettext("%(number)s item", "%(number)s items", number)
        count = escape(counted % {"number": grouped(number)})
        is_open = " open" if depth < DEPTH_OPEN else ""
        return (
            f'<details class="doc-fold"{is_open}><summary>{label}{pair[0]}<span class="doc-count"> {count} {pair[1]}'
            f'</span></summary><div class="doc-in">{"".join(lines)}</div>{pair[1]}{comma}</details>'
        )


def _leaf(value: Any) -> str:
    if isinstance(value, str) and len(value) > LEAF_LIMIT:
        value = f"{value[:LEAF_LIMIT]}… ({_cut(len(value) - LEAF_LIMIT)})"
    text = escape(json.dumps(value, ensure_ascii=False, default=str))
    kind = {str: "string", bool: "word", type(None): "word", dict: "mark", list: "mark"}.get(type(value), "number")
    return f'<span class="doc-{kind}">{text}</span>'


@register.filter
def header_rows(headers: Any) -> list[tuple[str, str]]:
    """Headers as pairs, whether they were kept as a list of pairs or as an object."""
    if isinstance(headers, Mapping):
        return [(str(name), str(value)) for name, value in headers.items()]
    return [(str(pair[0]), str(pair[1])) for pair in headers or [] if len(pair) == 2]
