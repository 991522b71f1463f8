"""Parses and serialises JSON, strictly where Python's `json` is lenient.

Invalid documents (docs/contract.md#errors) are refused with a location and a reason before anything is stored:
databases reject NUL, other JSON parsers reject NaN, `1e400` and lone surrogates, and deep nesting exhausts stacks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from django.utils.translation import gettext as _

from integrations.foundation.json_paths import path_to
from integrations.foundation.texts import shortened

DOCUMENT_LIMIT: Final = 10 * 1024 * 1024  #: maximum bytes of a body
DEPTH_LIMIT: Final = 100  #: maximum nesting of arrays and objects
DIGITS_LIMIT: Final = 4300  #: maximum digits of an integer, as in Python

ErrorCode = Literal["bad_request", "parameter_invalid", "too_large"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentError(ValueError):
    """The document is refused. Becomes an API error, with the path inside the document if known.

    `typed` is the message where the document is not a body, but a text that somebody typed into a form.
    """

    def __init__(self, code: ErrorCode, message: str, field: str | None = None, *, typed: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.typed = typed or message


def _refuse_constant(name: str) -> float:
    message = _("%(name)s is not a JSON value. Send null or leave the field out.") % {"name": name}
    raise DocumentError("bad_request", message)


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        message = _("The number %(number)s is too large. Send it as a string.") % {"number": shortened(text)}
        raise DocumentError("bad_request", message)
    return number


def _bounded_integer(text: str) -> int:
    if len(text) > DIGITS_LIMIT:
        message = _("An integer of %(number)s digits is too long (%(limit)s at most). Send it as a string.") % {
            "number": len(text),
            "limit": DIGITS_LIMIT,
        }
        raise DocumentError("bad_request", message)
    return int(text)


# With hooks for numbers only, the C scanner still does everything else.
_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_bounded_integer, strict=True
)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def parse_document(raw: bytes) -> Any:
    """Return the JSON value in `raw` (UTF-8, with or without a byte order mark). The last of duplicate keys wins.

    Raises DocumentError: `too_large` above `DOCUMENT_LIMIT`; `bad_request` for an empty body, invalid UTF-8, invalid
    JSON (with line and column), NaN, Infinity, and numbers or nesting beyond the limits; `parameter_invalid` with the
    field for NUL characters and lone surrogates.
    """
    if len(raw) > DOCUMENT_LIMIT:
        sizes = {"number": len(raw), "limit": DOCUMENT_LIMIT}
        message = _("The body has %(number)s bytes; at most %(limit)s are allowed. Split it.") % sizes
        typed = _("This text has %(number)s bytes; at most %(limit)s are allowed. Split it.") % sizes
        raise DocumentError("too_large", message, typed=typed)
    try:
        text = raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        place = {"number": error.start}
        message = _("The body is not UTF-8: byte %(number)s cannot be read.") % place
        typed = _("This text is not UTF-8: byte %(number)s cannot be read.") % place
        raise DocumentError("bad_request", message, typed=typed) from error
    value = _decoded(text)
    # Search for excessive depth and bad characters only if a quick check finds that there may be any.
    if text.count("[") + text.count("{") > DEPTH_LIMIT and _is_too_deep(value):
        raise _too_deep()
    if "\\u" in text and ("\\u0000" in text or "\\ud" in text or "\\uD" in text):
        _refuse_bad_characters(value)
    return value


def _decoded(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        if not text.strip():
            message, typed = (
                _("The body is empty. Send a JSON document."),
                _("This text is empty. Write a JSON document."),
            )
            raise DocumentError("bad_request", message, typed=typed) from error
        place = {"problem": error.msg, "line": error.lineno, "column": error.colno}
        message = _("The body is not JSON: %(problem)s at line %(line)s, column %(column)s.") % place
        typed = _("This is not JSON: %(problem)s at line %(line)s, column %(column)s.") % place
        raise DocumentError("bad_request", message, typed=typed) from error
    except RecursionError as error:
        raise _too_deep() from error


def _too_deep() -> DocumentError:
    return DocumentError(
        "bad_request", _("The document is nested more than %(limit)s levels deep.") % {"limit": DEPTH_LIMIT}
    )


def _is_too_deep(value: Any) -> bool:
    """Return whether the nesting exceeds `DEPTH_LIMIT`. Iterative, so that a document cannot exhaust the stack."""
    level = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            return True
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    return False


def _refuse_bad_characters(value: Any) -> None:
    for path, text in _texts(value):
        field = path or None
        if "\0" in text:
            raise DocumentError(
                "parameter_invalid", _("The text contains a NUL character (\\u0000). Remove it."), field
            )
        if _SURROGATE.search(text):
            raise DocumentError(
                "parameter_invalid", _("The text contains a lone surrogate (\\ud800–\\udfff). Remove it."), field
            )


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every string and key with its path in the API's notation, such as `shipments[0].id`."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, list):
            waiting.extend((path_to(path, index), inner) for index, inner in enumerate(item))
        elif isinstance(item, dict):
            for key, inner in item.items():
                clean = _SURROGATE.sub("\ufffd", key.replace("\0", "\ufffd"))
                inner_path = path_to(path, clean)
                yield inner_path, key
                waiting.append((inner_path, inner))


def compact_json(value: Any) -> str:
    """Serialise a value that is known to be valid as compact JSON, keys in order; see also `dump_document`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dump_document(value: Any) -> str:
    """Serialise `value` as compact JSON, keys in order, characters unescaped.

    Raises DocumentError for lone surrogates, NaN, Infinity, and nesting that exceeds the stack.
    """
    try:
        text = _encoder.encode(value)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise DocumentError("parameter_invalid", _("A text contains a lone surrogate. Remove it.")) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise DocumentError("bad_request", _("NaN and Infinity are not JSON values. Use null instead.")) from error
    return text
