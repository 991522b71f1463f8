"""What integrations and subscriptions have in common: rows that are locked to be changed, switched off, or deleted.

A deleted row stays for the history of its deliveries. All functions want a transaction, and take the lock of the
configuration first: see `deliveries.storage.locks`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import ConfigVersion

#: A model with `store`, `deleted_at`, `updated_at` and a manager with `alive` and `without_credentials`.
M = TypeVar("M", bound=models.Model)


def current(row: M, *, has_credentials: bool = True, related: Sequence[str] = ()) -> M | None:
    """The row as it is now, held until the transaction ends; None if it was deleted.

    `has_credentials=False` leaves out what no key may open.
    """
    ConfigVersion.lock()
    manager: Any = type(row)._default_manager
    rows = manager.alive().select_for_update(of=("self",), no_key=True).filter(pk=row.pk)
    if related:
        rows = rows.select_related(*related)
    found: M | None = (rows if has_credentials else rows.without_credentials()).first()
    return found


def locked(row: M, *, has_credentials: bool = True, related: Sequence[str] = ()) -> M:
    """`current`, but raises ValidationError (code `conflict`) if it was deleted meanwhile."""
    found = current(row, has_credentials=has_credentials, related=related)
    if found is None:
        raise ValidationError(
            _("This has been deleted in the meantime (%(kind)s).") % {"kind": row._meta.verbose_name},
            code="conflict",
        )
    return found


def mark_deleted(
    row: Any,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    announce: Callable[[Any, datetime], None],
    shown: Callable[[Any], dict[str, Any]],
    related: Sequence[str] = (),
) -> Any:
    """Set `deleted_at`, tell the other apps by `announce`, and write what it was into the history. Returns the row."""
    # Without what may be unreadable, which is a reason to delete it.
    found = locked(row, has_credentials=False, related=related)
    found.deleted_at = row.deleted_at = now
    found.save(update_fields=["deleted_at", "updated_at"])
    announce(found, now)
    record_change(actor=actor, action="delete", target=found, store=found.store, before=shown(found), reason=reason)
    return found


def switch_off(
    row: Any, *, flag: str, reason_field: str, action: str, reason: str, actor: Actor, related: Sequence[str] = ()
) -> bool:
    """Clear `flag` and keep why. False, and nothing is changed, if it is off already or was deleted.

    Several answers may ask for it at once.
    """
    with transaction.atomic():
        # Without what may be unreadable, which is no reason to go on sending.
        found: Any = current(row, has_credentials=False, related=related)
        if found is None or not getattr(found, flag):
            return False
        setattr(found, flag, False)
        setattr(found, reason_field, reason[:500])
        found.save(update_fields=[flag, reason_field, "updated_at"])
        record_change(actor=actor, action=action, target=found, store=found.store, reason=reason)
    row.refresh_from_db(fields=[flag, reason_field, "updated_at"])
    return True
