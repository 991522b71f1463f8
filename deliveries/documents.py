"""JSON documents as they come in, are kept, compared and patched: strict where Python's `json` is lenient.

What contract §9 refuses (faults F29–F33) is refused here with a place and a reason, before anything is stored:
databases choke on NUL, other JSON readers on NaN, `1e400` and lone surrogates, and everybody on depth.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import jsonpatch
import jsonpointer

DOCUMENT_LIMIT: Final = 10 * 1024 * 1024  #: bytes of one body
DEPTH_LIMIT: Final = 100  #: arrays and objects within each other
DIGITS_LIMIT: Final = 4300  #: digits of one integer, as Python's own limit

ErrorCode = Literal["bad_request", "parameter_invalid", "too_large"]

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")


class DocumentError(ValueError):
    """A document that is refused: an error of the API (contract §9), with the place inside the document if known."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class PatchDoesNotFit(ValueError):  # noqa: N818 - a verdict that staff read, not a fault of the program
    """The patch cannot be applied to this document; `reason` says why, for staff."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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


# With hooks for the numbers, the C scanner still does all the rest.
_decoder = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite_float, parse_int=_bounded_integer, strict=True
)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def parse_document(raw: bytes) -> Any:
    """The JSON value in `raw` (UTF-8, a byte order mark is tolerated). Of duplicate keys the last one wins.

    Raises DocumentError: `too_large` past `DOCUMENT_LIMIT`; `bad_request` for an empty body, bad UTF-8, bad JSON
    (with line and column), NaN, Infinity, numbers and nesting past the bounds; `parameter_invalid` with the field
    for NUL characters and lone surrogates.
    """
    if len(raw) > DOCUMENT_LIMIT:
        message = f"The body has {len(raw)} bytes; {DOCUMENT_LIMIT} is the most. Send it in parts."
        raise DocumentError("too_large", message)
    try:
        text = raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise DocumentError("bad_request", f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    value = _decoded(text)
    # Depth and bad characters are looked for only where a quick count says that there may be any.
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
    """Level by level, so that a document cannot exhaust the stack of whoever measures it."""
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
            raise DocumentError("parameter_invalid", "The text holds a NUL character (\\u0000). Remove it.", field)
        if _SURROGATE.search(text):
            raise DocumentError(
                "parameter_invalid", "The text holds half of a surrogate pair (\\ud800–\\udfff). Remove it.", field
            )


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every string and key, with its path as the API names fields: `shipments[0].id`. The path itself is clean."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, list):
            waiting.extend((f"{path}[{index}]", inner) for index, inner in enumerate(item))
        elif isinstance(item, dict):
            for key, inner in item.items():
                clean = _SURROGATE.sub("\ufffd", key.replace("\0", "\ufffd"))
                inner_path = f"{path}.{clean}" if path else clean
                yield inner_path, key
                waiting.append((inner_path, inner))


def dump_document(value: Any) -> str:
    """`value` as compact JSON text, keys in their order, characters as they are.

    Raises DocumentError for lone surrogates, NaN, Infinity, and nesting that no stack holds.
    """
    try:
        text = _encoder.encode(value)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        raise DocumentError("parameter_invalid", "A text holds half of a surrogate pair. Remove it.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise DocumentError("bad_request", "NaN and Infinity are not JSON values. Use null instead.") from error
    return text


def merge_document(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A partial update (contract §3): top-level keys of `new` replace, absent ones stay, in the order of `old`."""
    return {**old, **new}


def is_same(old: Any, new: Any) -> bool:
    """Equality as JSON has it: `1` and `1.0` are the same number, `true` is no number, keys have no order."""
    # Python's own comparison only errs by taking True for 1, so it settles every "no" quickly.
    return bool(old == new) and _has_same_booleans(old, new)


def _has_same_booleans(old: Any, new: Any) -> bool:
    if isinstance(old, dict):
        return all(_has_same_booleans(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return all(_has_same_booleans(ours, theirs) for ours, theirs in zip(old, new, strict=True))
    return isinstance(old, bool) is isinstance(new, bool)


def json_patch(before: Any, after: Any) -> list[dict[str, Any]]:
    """The JSON Patch (RFC 6902) that turns `before` into `after`; empty when they are the same."""
    if is_same(before, after):
        return []
    patch: list[dict[str, Any]] = jsonpatch.make_patch(before, after).patch
    try:
        if is_same(apply_patch(before, patch), after):
            return patch
    except PatchDoesNotFit:
        pass
    # The library takes some differences for none or orders its moves wrongly; replacing the whole is always right.
    return [{"op": "replace", "path": "", "value": after}]


def apply_patch(data: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """`data` with the patch applied; `data` itself stays as it is. Raises PatchDoesNotFit."""
    try:
        return jsonpatch.JsonPatch(patch).apply(data)
    except jsonpatch.InvalidJsonPatch as error:
        raise PatchDoesNotFit("This is not a JSON Patch (RFC 6902).") from error
    except _PATCH_FAULTS as error:
        raise PatchDoesNotFit(_why_it_does_not_fit(data, patch)) from error


#: What the library raises besides its own errors is how it meets a document of another shape.
_PATCH_FAULTS: Final = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def _why_it_does_not_fit(data: Any, patch: Sequence[Mapping[str, Any]]) -> str:
    """Names the first step that fails, found by taking them one at a time."""
    for step in patch:
        try:
            data = jsonpatch.JsonPatch([step]).apply(data)
        except jsonpatch.JsonPatchTestFailed:
            return _sentence(f"{_place(step['path'])} has another value here than the change relies on.")
        except _PATCH_FAULTS:
            try:
                return f"It is not possible to {_described(step)}: there is no such place in this document."
            except _PATCH_FAULTS:
                break
    return "This is not a JSON Patch (RFC 6902)."


def describe_patch(patch: Sequence[Mapping[str, Any]]) -> list[str]:
    """One plain sentence for each step of a patch, for the review page and the audit entry."""
    return [_sentence(_described(step)) for step in patch]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _described(step: Mapping[str, Any]) -> str:
    operation, place = step["op"], _place(step["path"])
    match operation:
        case "add":
            return f"add {place}: {_shown(step['value'])}"
        case "remove":
            return f"remove {place}"
        case "replace":
            return f"change {place} to {_shown(step['value'])}"
        case "test":
            return f"check that {place} is {_shown(step['value'])}"
        case _:
            return f"{operation} {_place(step['from'])} to {place}"


def _place(pointer: str) -> str:
    """A JSON Pointer as the API names fields: `/items/0/name` → `items[0].name`."""
    place = ""
    for part in jsonpointer.JsonPointer(pointer).parts:
        if part.isdecimal():
            place += f"[{part}]"
        elif part == "-":
            place += "[at the end]"
        else:
            place += f".{part}" if place else part
    return place or "the whole document"


def _shown(value: Any) -> str:
    return shortened(dump_document(value), 60)


def shortened(text: str, limit: int = 40) -> str:
    """`text` cut to `limit` characters, the cut shown by an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
