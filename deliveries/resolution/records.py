"""Correcting the store's record together with a payload, without emitting an event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from deliveries.models import Delivery, Record
from deliveries.resolution.rules import ResolutionError
from integrations.foundation.json_documents import is_same


def record_of(delivery: Delivery, *, is_locked: bool = False) -> Record | None:
    """The record of the delivery's event, if the store has it. `is_locked` needs a transaction."""
    event = delivery.event
    if not event.object_id:
        return None
    records = Record.objects.select_for_update(no_key=True) if is_locked else Record.objects.all()
    return records.filter(store_id=delivery.store_id, type=event.object_type, external_id=event.object_id).first()


def refuse_other_id(delivery: Delivery, data: dict[str, Any]) -> None:
    """Raises ResolutionError if the edit would turn the record into another one."""
    identity = delivery.event.object_id
    if identity and str(data.get("id")) != identity and record_of(delivery) is not None:
        raise ResolutionError(
            "invalid",
            _("The id names the record (%(id)s) and cannot be changed together with it.") % {"id": identity},
            "id",
        )


def update_record_of(delivery: Delivery, before: dict[str, Any], after: dict[str, Any], now: datetime) -> bool:
    """Apply the edit's top-level changes to the record; what was pushed since then stays.

    Emits no event. False if there is no such record, or it has the same values already.
    """
    record = record_of(delivery, is_locked=True)
    if record is None:
        return False
    if not changed_record(record, before, after, now):
        return False
    record.save(update_fields=["data", "version", "updated_at"])
    return True


def changed_record(record: Record, before: dict[str, Any], after: dict[str, Any], now: datetime) -> bool:
    """Give the record, which is held and not saved here, the edit's top-level changes. False if it has them already."""
    old, new = differing_keys(before, after)
    data = {key: value for key, value in {**record.data, **new}.items() if key not in old or key in new}
    if is_same(record.data, data):
        return False
    # Ingest compares versions: a push planned on the old data is replanned.
    record.data = data
    record.version += 1
    record.updated_at = now
    return True


def differing_keys(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The top-level members that differ, before and after."""
    nothing = object()
    keys = [key for key in {**before, **after} if not is_same(before.get(key, nothing), after.get(key, nothing))]
    return {key: before[key] for key in keys if key in before}, {key: after[key] for key in keys if key in after}
