"""XML as Rails 2 wrote it into JSON: the reverse of the wire format `xml`. Pure.

Read by expat itself, which fetches nothing. A document type is refused where it begins, and with it every entity that
somebody could declare: no bomb gets as far as to grow.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any
from xml.parsers import expat

from integrations.foundation.strict_json import DEPTH_LIMIT, DocumentError, parse_document
from integrations.sources.base import Unreadable

ELEMENT_LIMIT = 200_000

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class _Element:
    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[_Element] = []
        self.text: list[str] = []


class _Reader:
    def __init__(self) -> None:
        self.root: _Element | None = None
        self._open: list[_Element] = []
        self._count = 0
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def read(self, raw: bytes) -> _Element:
        try:
            self._parser.Parse(raw, True)
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "it cannot be read")
            place = f"line {error.lineno}, column {error.offset + 1}"
            raise Unreadable(f"The body is not XML: {reason} at {place}.") from None
        except (LookupError, ValueError):  # an encoding that Python does not know, or not as one byte a character
            raise Unreadable("The encoding of the XML is not known. Send UTF-8.") from None
        assert self.root is not None  # expat refuses a document without one
        return self.root

    def _doctype(self, *_: Any) -> None:
        raise Unreadable("The XML has a document type (<!DOCTYPE …>), which is not accepted.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENT_LIMIT:
            raise Unreadable(f"The XML has more than {ELEMENT_LIMIT:,} elements.", status=413)
        if len(self._open) >= DEPTH_LIMIT:
            raise Unreadable(f"The XML is nested more than {DEPTH_LIMIT} levels deep.")
        element = _Element(name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, name: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].text.append(text)


def from_xml(raw: bytes) -> tuple[str, Any]:
    """The root's name, dashes as underscores, and its value. Raises Unreadable."""
    root = _Reader().read(raw)
    return _key(root.name), _value(root, _key(root.name))


def _key(name: str) -> str:
    return name.replace("-", "_")


def _value(element: _Element, path: str) -> Any:
    kind = element.attributes.get("type", "")
    if element.attributes.get("nil") == "true":
        return None
    if kind == "array":
        return [_value(child, f"{path}[{index}]") for index, child in enumerate(element.children)]
    if element.children:
        return _members(element, path)
    text = "".join(element.text)
    if kind in ("", "string"):
        return text
    # An empty number, date or truth is how Rails 2 writes one that is not there.
    return _typed(kind, text.strip(), path) if text.strip() else None


def _members(element: _Element, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    repeated: set[str] = set()
    for child in element.children:
        key = _key(child.name)
        value = _value(child, f"{path}.{key}")
        if key not in found:
            found[key] = value
        elif key in repeated:
            found[key].append(value)
        else:
            repeated.add(key)
            found[key] = [found[key], value]
    return found


def _typed(kind: str, text: str, path: str) -> Any:
    if kind == "boolean":
        if text.lower() not in _BOOLEANS:
            raise Unreadable(f"{text[:40]!r} is not a boolean.", path)
        return _BOOLEANS[text.lower()]
    if kind in ("integer", "decimal", "float"):
        return _number(kind, text, path)
    return text


def _number(kind: str, text: str, path: str) -> int | float:
    try:
        exact = Decimal(text)
        if not exact.is_finite() or len(text) > 1_000:
            raise InvalidOperation
        # Through JSON's own bounds: what is stored must be readable again.
        written = str(int(text)) if kind == "integer" else repr(float(exact))
        value: int | float = parse_document(written.encode())
    except (InvalidOperation, ValueError, DocumentError):
        raise Unreadable(f"{text[:40]!r} is not a number of type {kind}.", path) from None
    return value
