"""The condition of a rule that splits a case. Pure."""

from __future__ import annotations

from typing import Any

import jsonpointer

from integrations.foundation.json_paths import pointer_of
from integrations.foundation.strict_json import dump_document

#: The field name for the error message; every other field is a path inside the payload.
ERROR = "error"
_ABSENT = object()


def meets(field: str, operator: str, value: str, *, message: str, payload: Any) -> bool:
    """Whether a failure with this message and payload meets the condition, ignoring case.

    `field` is `error` or a path inside the payload (`items[0].price`); `operator` is one of `CaseRule.Operator`.
    """
    found = message if field == ERROR else _text_at(payload, field)
    if operator == "missing":
        return found is None or not found.strip()
    if found is None:
        return False
    text, wanted = found.casefold(), value.casefold()
    if operator == "is":
        return text == wanted
    return text.startswith(wanted) if operator == "starts_with" else wanted in text


def _text_at(payload: Any, path: str) -> str | None:
    """Return the value at `path` as text; None if it is missing or null."""
    pointer = path if path.startswith("/") else pointer_of(path)
    found = jsonpointer.resolve_pointer(payload, pointer, _ABSENT) if pointer else _ABSENT
    if found is _ABSENT or found is None:
        return None
    return found if isinstance(found, str) else dump_document(found)
