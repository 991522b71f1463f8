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

from integrations.foundation.json_paths import path_to
from integrations.foundation.texts import shortened

DOCUMENT_LIMIT: Final = 10 * 1024 * 1024  #: maximum bytes of a body
DEPTH_LIMIT: Final = 100  #: maximum nesting of arrays and objects
DIGITS_LIMIT: Final = 4300  #: maximum digits of an integer, as in Python

ErrorCode = Literal["bad_request", "parameter_invalid", "too_large"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentError(ValueError):
    """The document is refused. Becomes an API error, with the path inside the document if known."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


def _refuse_constant(name: str) -> float:
    raise DocumentError("bad_request", f"{name} is not a JSON value. Send null or leave the field out.")


def _finite_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise DocumentError("bad_request", f"The number {shortened(text)} is too large. Send it as a string.")
    return number


def _bounded_integer(text: str) -> int:
    if len(text) > DIGITS_LIMIT:
        message = f"An integer of {len(text)} digits is too long ({DIGITS_LIMIT} at most). Send it as a string."
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
        message = f"The body has {len(raw)} bytes; at most {DOCUMENT_LIMIT} are allowed. Split it."
        raise DocumentError("too_large", message)
    try:
        text = raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise DocumentError("bad_request", f"The body is not UTF-8: byte {error.start} cannot be read.") from error
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
            raise DocumentError("bad_request", "The body is empty. Send a JSON document.") from error
        raise DocumentError(
            "bad_request", f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise _too_deep() from error


def _too_deep() -> DocumentError:
    return DocumentError("bad_request", f"The document is nested more than {DEPTH_LIMIT} levels deep.")


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
            raise DocumentError("parameter_invalid", "The text contains a NUL character (\\u0000). Remove it.", field)
        if _SURROGATE.search(text):
            raise DocumentError(
                "parameter_invalid", "The text contains a lone surrogate (\\ud800–\\udfff). Remove it.", field
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
        raise DocumentError("parameter_invalid", "A text contains a lone surrogate. Remove it.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise DocumentError("bad_request", "NaN and Infinity are not JSON values. Use null instead.") from error
    return text
