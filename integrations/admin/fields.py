"""Form fields that are as strict as the API: JSON that every parser accepts, and rows by the canonical spelling
of their key.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput, JSONString

from integrations.admin.keys import parse_key
from integrations.foundation.strict_json import DocumentError, parse_document


def parse_json_text(text: str) -> Any:
    """The JSON value of typed text. Raises ValidationError."""
    try:
        return parse_document(text.encode("utf-8", "surrogatepass"))
    except DocumentError as error:
        raise ValidationError(error.typed, code="invalid") from None


class StrictJSONField(forms.JSONField):
    """Django's takes NaN, `\\u0000` and half surrogates, which databases refuse, and fails on depth and numbers."""

    def to_python(self, value: Any) -> Any:
        if self.disabled or value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        found = parse_json_text(value)
        return JSONString(found) if isinstance(found, str) else found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """The typed text, to show it again with its error."""
        if self.disabled or data is None:
            return super().bound_data(data, initial)
        try:
            return parse_json_text(data)
        except ValidationError:
            return InvalidJSONInput(data)


class CheckList(forms.CheckboxSelectMultiple):
    """Several rows to tick, in a box that scrolls; `desk.js` adds a filter to long ones."""

    def __init__(self, attrs: dict[str, Any] | None = None, choices: Any = ()) -> None:
        super().__init__({"class": "check-list", **(attrs or {})}, choices)


def _is_key(field: forms.ModelChoiceField, text: str) -> bool:
    assert field.queryset is not None
    return parse_key(field.queryset.model._meta.pk, text) is not None


class KnownRowsField(forms.ModelMultipleChoiceField):
    """Several rows of a queryset. Django's field passes odd keys to the database, which may fail on them."""

    def _check_values(self, value: Any) -> Any:
        for text in value if isinstance(value, list | tuple) else ():
            if not _is_key(self, str(text)):
                message = self.error_messages["invalid_choice"]
                raise ValidationError(message, code="invalid_choice", params={"value": str(text)[:40]})
        return super()._check_values(value)  # type: ignore[misc]  # not in the stubs


class KnownRowField(forms.ModelChoiceField):
    """One row of a queryset, by the canonical spelling of its key."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value not in self.empty_values and not _is_key(self, value):
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().to_python(value)
