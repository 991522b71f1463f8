"""`DocumentField`: a JSON document stored as text, on every database.

`jsonb` would reorder keys (receivers see the order) and would have to be parsed and serialised; the engine needs the
text itself and reads it with plain SQL.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

from integrations.foundation.strict_json import compact_json

if TYPE_CHECKING:  # generic only in the stubs
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


class DocumentField(_TextField):
    """Any JSON value, stored as compact JSON text. Its keys cannot be searched: use columns for that."""

    description = "JSON document as text"
    # For django-stubs: set and get accept any JSON value.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str | None:
        if value is None:
            return None
        return compact_json(value)

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def get_lookup(self, lookup_name: str) -> Any:
        # Comparing JSON as text gives wrong results; only `isnull` is allowed.
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None

    def formfield(self, **kwargs: Any) -> Any:
        from django import forms

        return super(models.TextField, self).formfield(**{"form_class": forms.JSONField, **kwargs})
