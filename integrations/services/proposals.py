"""Changes that are tried before they are made: rows as they would be, never saved."""

from __future__ import annotations

from typing import Any, TypeVar, Unpack

from django.db.models import Model

from integrations.models import Integration
from integrations.services.changes import FIELDS, apply_changes, shown_fields
from integrations.services.values import IntegrationValues, clean_values

Row = TypeVar("Row", bound=Model)


def proposed_integration(*, integration: Integration, **values: Unpack[IntegrationValues]) -> Integration:
    """What `update_integration` would make of it, not saved, with its current secrets. Raises ValidationError."""
    found = unsaved_copy(integration)
    found.store = integration.store
    apply_changes(found, clean_values(values))
    return found


def unsaved_copy(row: Row) -> Row:
    """A second instance of the row, which shares no related objects with it."""
    copied = type(row)(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})
    copied._state.adding = False
    return copied


def changes_of_integration(before: Integration, after: Integration) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, as the history shows them: credentials masked."""
    names = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    old, new = shown_fields(before, names), shown_fields(after, names)
    return {name: (old[name], new[name]) for name in names}
