"""Undoing the record updates of a bulk fix. What was sent stays sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import BulkFix, BulkFixItem, Record
from deliveries.resolution import ResolutionError
from deliveries.resolution.bulk_fixes import locked_records
from integrations.foundation.audit import Actor, audit_entry, record_change
from integrations.foundation.json_documents import is_same
from integrations.foundation.languages import gettext_noop
from integrations.models import AuditEntry

STEP = 300
#: Kept in English; pages translate them.
CHANGED = gettext_noop("The record has been changed since; it was left as it is.")
GONE = gettext_noop("The record no longer exists.")


@dataclass(slots=True)
class Undone:
    """How many records have their former values again, and which were left alone because they changed since."""

    restored: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def can_undo(fix: BulkFix) -> int:
    """How many records the fix updated and could restore."""
    return fix.items.filter(record_id__isnull=False, is_undone=False).count()


def undo_records(*, fix: BulkFix, actor: Actor, reason: str = "", now: datetime | None = None) -> Undone:
    """Give the records their former values, without emitting events. Raises ResolutionError if there are none.

    A record whose values are no longer those of the fix is refused, and named. It may be repeated.
    """
    now = now or timezone.now()
    # The latest first: two events of one record were written one after the other.
    ids = list(
        fix.items.filter(record_id__isnull=False, is_undone=False).order_by("-delivery_id").values_list("pk", flat=True)
    )
    if not ids:
        raise ResolutionError("finished", _("This fix has updated no record that is not restored already."))
    outcome = Undone()
    for at in range(0, len(ids), STEP):
        with transaction.atomic():
            _undo_step(fix, ids[at : at + STEP], actor, reason, now, outcome)
    with transaction.atomic():
        BulkFix.objects.filter(pk=fix.pk).update(undone_at=now, undone_by_name=actor.name)
        record_change(
            actor=actor,
            action="undo",
            target=fix,
            store=fix.store_id,
            after={"restored": outcome.restored, "refused": len(outcome.refused)},
            reason=reason,
        )
    fix.refresh_from_db()
    return outcome


def _undo_step(fix: BulkFix, ids: list[int], actor: Actor, reason: str, now: datetime, outcome: Undone) -> None:
    # The first lock is the fix itself: two people undo one after the other.
    BulkFix.objects.select_for_update(of=("self",)).get(pk=fix.pk)
    items = {item.pk: item for item in BulkFixItem.objects.filter(pk__in=ids, is_undone=False)}
    names = {
        pk: (kind, key)
        for pk, kind, key in Record.objects.filter(pk__in=[item.record_id for item in items.values()]).values_list(
            "pk", "type", "external_id"
        )
    }
    records = {row.pk: row for row in locked_records(fix.store_id, set(names.values())).values()}
    entries, touched = [], {}
    for pk in ids:
        if (item := items.get(pk)) is None:
            continue
        record = records.get(item.record_id or 0)
        item.note = GONE if record is None else "" if _is_ours(record, item) else CHANGED
        if record is None or item.note:
            outcome.refused.append((str(record or item.delivery_id), item.note))
            continue
        was = {key: record.data.get(key) for key in item.record_after or {}}
        record.data = _restored(record.data, item)
        record.version += 1
        record.updated_at = now
        item.is_undone = True
        touched[record.pk] = record
        outcome.restored += 1
        entries.append(
            audit_entry(
                actor=actor,
                action="undo",
                target=record,
                store=fix.store_id,
                before=was,
                after=item.record_before,
                reason=reason,
            )
        )
    Record.objects.bulk_update(touched.values(), ["data", "version", "updated_at"], batch_size=100)
    BulkFixItem.objects.bulk_update(items.values(), ["note", "is_undone"], batch_size=200)
    AuditEntry.objects.bulk_create(entries, batch_size=200)


def _is_ours(record: Record, item: BulkFixItem) -> bool:
    """Whether the members that the fix changed still have its values."""
    nothing = object()
    keys = {*(item.record_before or {}), *(item.record_after or {})}
    return all(is_same(record.data.get(key, nothing), (item.record_after or {}).get(key, nothing)) for key in keys)


def _restored(data: dict[str, Any], item: BulkFixItem) -> dict[str, Any]:
    before = item.record_before or {}
    gone = set(item.record_after or {}) - set(before)
    return {key: value for key, value in {**data, **before}.items() if key not in gone}
