"""Model fields that are encrypted in the database and plain in Python.

They cannot be searched: equal values have different ciphertexts, so every lookup raises instead of silently finding
nothing. An empty value is stored as the empty string, so "not set" is visible without a key. `dumpdata` writes them
empty, because an export must not contain secrets: back up the database instead.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from django import forms
from django.core.exceptions import FieldError, ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.foundation.strict_json import compact_json
from integrations.security.encryption import DecryptionError, decrypt_text, encrypt_text

if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:
    _TextField = models.TextField


#: Replaces a value that no key decrypts.
UNREADABLE = "(undecryptable)"


def readable(row: models.Model, name: str) -> Any:
    """Return a deferred field's value, or UNREADABLE if no key decrypts it: some actions must work without keys."""
    try:
        return getattr(row, name)
    except DecryptionError:
        return UNREADABLE


class _EncryptedField(_TextField):
    """Shared by both fields: a text column without lookups, empty in exports."""

    def get_lookup(self, lookup_name: str) -> NoReturn:
        raise FieldError(
            f"{self.name} is encrypted and cannot be searched (…__{lookup_name}). Select by another field and "
            "compare in Python."
        )

    def get_transform(self, lookup_name: str) -> NoReturn:
        self.get_lookup(lookup_name)

    def value_to_string(self, obj: models.Model) -> str:
        return ""


class EncryptedTextField(_EncryptedField):
    """Text, encrypted at rest; `""` stays `""`. Reading raises DecryptionError if no key decrypts it."""

    description = "Encrypted text"

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return decrypt_text(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        text = self.to_python(value)
        return encrypt_text(text) if text else text


class EncryptedJSONField(_EncryptedField):
    """A JSON object, encrypted at rest; `{}` is stored as `""`. Reading raises DecryptionError if no key fits."""

    description = "Encrypted JSON object"
    default_error_messages = {"invalid": _("This is not a JSON object. Write it as {“name”: “value”}.")}

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        return json.loads(decrypt_text(value)) if value else {}

    def get_prep_value(self, value: Any) -> str | None:
        document = self.to_python(value)
        if document is None:
            return None
        return encrypt_text(compact_json(document)) if document else ""

    def to_python(self, value: Any) -> dict[str, Any] | None:
        if value is None or isinstance(value, dict):
            return value
        if isinstance(value, str):
            if not value.strip():
                return {}
            try:
                document = json.loads(value)
            except (ValueError, RecursionError):
                document = None
            if isinstance(document, dict):
                return document
        raise ValidationError(self.error_messages["invalid"], code="invalid")

    def formfield(self, **options: Any) -> Any:
        return models.Field.formfield(self, **{"form_class": forms.JSONField, **options})
