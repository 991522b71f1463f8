"""Creating stores and changing what is set on them. All take keyword arguments and hold one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import ConfigVersion, Store
from integrations.models.store import validate_overrides
from integrations.services.approval_rule import require_approval
from integrations.services.values import clean_each, clean_line

_FIELDS = ("name", "singular_overrides", "is_reason_required")


class StoreValues(TypedDict, total=False):
    """What can be set. None is the default. The approval rule can be switched on only: off needs two people."""

    name: str
    singular_overrides: Mapping[str, str] | None
    is_reason_required: bool | None
    is_approval_required: bool | None


def create_store(*, actor: Actor, **values: Unpack[StoreValues]) -> Store:
    """Raises ValidationError by field."""
    cleaned = _clean(values)
    if "name" not in cleaned:
        raise ValidationError({"name": ValidationError(_("name is required."), code="required")})
    with transaction.atomic():
        ConfigVersion.lock()
        store = Store(**cleaned)
        store.save(force_insert=True)
        after = _shown(store) | {"is_approval_required": store.is_approval_required}
        record_change(actor=actor, action="create", target=store, store=store, after=after)
    return store


def update_store(*, store: Store, actor: Actor, **values: Unpack[StoreValues]) -> Store:
    """Change what is given. Raises ValidationError by field."""
    cleaned = _clean(values)
    with transaction.atomic():
        ConfigVersion.lock()
        found = Store.objects.select_for_update(no_key=True).get(pk=store.pk)
        before = _shown(found)
        is_approved = cleaned.pop("is_approval_required", found.is_approval_required)
        for name, value in cleaned.items():
            setattr(found, name, value)
        if before != (after := _shown(found)):
            found.save(update_fields=list(_FIELDS))
            record_change(actor=actor, action="change", target=found, store=found, before=before, after=after)
        if is_approved and not found.is_approval_required:
            require_approval(store=found, actor=actor)
        elif found.is_approval_required and not is_approved:
            message = _("Two people switch the second approver off, on the store's page in the admin.")
            raise ValidationError({"is_approval_required": message})
    store.refresh_from_db()
    return store


def _clean(values: Mapping[str, Any]) -> dict[str, Any]:
    return clean_each(values, _CLEANERS, may_be_none=())


def _overrides(value: Any) -> dict[str, str]:
    given = {} if value is None else value
    try:
        validate_overrides(given)
    except ValidationError as error:
        raise ValueError(" ".join(error.messages)) from None
    return dict(given)


def _boolean(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError(_("This is either true or false."))
    return bool(value)


_CLEANERS: dict[str, Any] = {
    "name": lambda value: clean_line(value, limit=200, is_required=True),
    "singular_overrides": _overrides,
    "is_reason_required": _boolean,
    "is_approval_required": _boolean,
}


def _shown(store: Store) -> dict[str, Any]:
    return {name: getattr(store, name) for name in _FIELDS}
