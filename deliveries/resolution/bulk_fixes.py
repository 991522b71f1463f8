"""Writing a step of a bulk fix: revisions, records and history of many deliveries, inside the step of its replay.

The items say what each delivery's field becomes, as it was reviewed; what has changed since is skipped with a note.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max

from deliveries.models import BulkFix, BulkFixItem, Delivery, Event, Record, Replay, Revision
from deliveries.resolution.records import changed_record, differing_keys
from deliveries.resolution.rules import audit_of
from deliveries.storage import backend
from integrations.foundation.audit import Actor
from integrations.foundation.json_documents import is_same, json_patch
from integrations.foundation.json_places import MISSING, PlaceError, parse_place, put
from integrations.foundation.languages import gettext_noop
from integrations.models import AuditEntry
from subscriptions.routing import SchemaViolation, config_of

#: Kept in English; pages translate them.
EDITED = gettext_noop("Someone has edited the payload in the meantime. Nothing was overwritten.")
CORRECTED = gettext_noop("It has already been corrected.")


@dataclass(slots=True)
class _Change:
    """One delivery of the step, before and after."""

    delivery: Delivery
    item: BulkFixItem
    event: Event
    number: int
    before: dict[str, Any]
    after: dict[str, Any]
    revision: Revision | None = None


def write_step(replay: Replay, deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """Give the locked deliveries their new revisions; returns those that have one. Inside the transaction."""
    fix = BulkFix.objects.filter(replay=replay, status=BulkFix.Status.SENT).first()
    if fix is None:
        return []
    items = {item.delivery_id: item for item in fix.items.filter(delivery_id__in=[one.pk for one in deliveries])}
    changes = _changes(fix, [one for one in deliveries if one.pk in items], items)
    _write_revisions(fix, changes, now)
    if fix.updates_records:
        _update_records(changes, now)
    BulkFixItem.objects.bulk_update(
        items.values(), ["is_written", "note", "record_id", "record_before", "record_after"], batch_size=100
    )
    _write_history(fix, changes)
    return [change.delivery for change in changes]


def _changes(fix: BulkFix, deliveries: Sequence[Delivery], items: Mapping[uuid.UUID, BulkFixItem]) -> list[_Change]:
    ids = [one.pk for one in deliveries]
    events = Event.objects.in_bulk([one.event_id for one in deliveries])
    numbers = latest_numbers(ids)
    edited = edited_payloads(deliveries)
    place, config = parse_place(fix.place), config_of(fix.store_id)
    changes = []
    for delivery in deliveries:
        item, event = items[delivery.pk], events[delivery.event_id]
        number = numbers.get(delivery.pk, 0)
        before: dict[str, Any] = edited.get(delivery.pk) or event.data
        if number != item.seen_revision:
            item.note = EDITED
            continue
        try:
            after: dict[str, Any] = put(before, place, value_of(item.change))
            if event.topic is not None:
                config.check_schema(event.topic, after)
        except PlaceError as problem:
            item.note = str(problem)
            continue
        except SchemaViolation as violation:
            item.note = f"{violation.path or 'the payload'}: {violation.message}"
            continue
        if is_same(before, after):
            item.note = CORRECTED
            continue
        changes.append(_Change(delivery, item, event, number + 1, before, after))
    return changes


def value_of(change: Mapping[str, Any]) -> Any:
    """The value of an item's change; `MISSING` if the field is removed."""
    return change.get("value", MISSING)


def latest_numbers(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """The number of each delivery's newest revision, whatever became of it; those without one are not in it."""
    rows = Revision.objects.filter(delivery__in=ids).order_by().values_list("delivery_id").annotate(last=Max("number"))
    return dict(rows)


def edited_payloads(deliveries: Collection[Delivery]) -> dict[uuid.UUID, dict[str, Any]]:
    """The payloads of those that are sent in an edited form."""
    wanted = {one.pk: one.revision for one in deliveries if one.revision}
    if not wanted:
        return {}
    rows = Revision.objects.filter(delivery__in=wanted).values_list("delivery_id", "number", "data")
    return {pk: data for pk, number, data in rows if wanted[pk] == number}


def _write_revisions(fix: BulkFix, changes: Sequence[_Change], now: datetime) -> None:
    for change in changes:
        change.revision = Revision(
            delivery=change.delivery,
            number=change.number,
            data=change.after,
            patch=json_patch(change.before, change.after),
            reason=fix.reason,
            author_id=fix.author_id,
            author_name=fix.author_name,
            token_id=fix.token_id,
            is_issuer_known=fix.is_issuer_known,
            approved_by_id=fix.approved_by_id,
            approved_at=fix.decided_at,
            updates_record=fix.updates_records,
        )
        change.item.is_written = True
        change.delivery.revision = change.number
    made = Revision.objects.bulk_create([change.revision for change in changes if change.revision], batch_size=100)
    people = list(fix.people.values_list("pk", flat=True))
    links = Revision.people.through
    links.objects.bulk_create(
        [links(revision_id=revision.pk, user_id=person) for revision in made for person in people], batch_size=200
    )
    by_number: dict[int, list[uuid.UUID]] = {}
    for change in changes:
        by_number.setdefault(change.number, []).append(change.delivery.pk)
    for number, ids in by_number.items():
        Delivery.objects.filter(id__in=ids).update(revision=number)


def _update_records(changes: Sequence[_Change], now: datetime) -> None:
    """The records of these events, locked in the order of `deliveries.storage.locks`."""
    wanted = {(change.event.object_type, change.event.object_id) for change in changes if change.event.object_id}
    if not wanted:
        return
    records = locked_records(changes[0].delivery.store_id, wanted)
    touched = {}
    for change in changes:
        record = records.get((change.event.object_type, change.event.object_id))
        if record is None or str(change.after.get("id")) != record.external_id:
            continue
        old, new = differing_keys(change.before, change.after)
        was = record.data
        if not changed_record(record, change.before, change.after, now):
            continue
        keys = [*old, *(key for key in new if key not in old)]
        change.item.record_id = record.pk
        change.item.record_before = {key: was[key] for key in keys if key in was}
        change.item.record_after = {key: record.data[key] for key in keys if key in record.data}
        touched[record.pk] = record
    Record.objects.bulk_update(touched.values(), ["data", "version", "updated_at"], batch_size=100)


def locked_records(store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Record]:
    """Those of the records that exist, held until the transaction ends."""
    known = backend().locked_records(store_id, set(backend().existing_records(store_id, wanted))) if wanted else {}
    if not known:
        return {}
    rows = Record.objects.filter(
        store_id=store_id, type__in={key[0] for key in known}, external_id__in={key[1] for key in known}
    )
    return {key: row for row in rows if (key := (row.type, row.external_id)) in known}


def _write_history(fix: BulkFix, changes: Sequence[_Change]) -> None:
    actor = Actor(None, fix.author_name)
    entries = []
    for change in changes:
        old, new = differing_keys(change.before, change.after)
        entry = audit_of(
            change.delivery,
            actor,
            "edit",
            before={"status": str(change.delivery.status), "revision": change.number - 1, "data": old},
            after={
                "status": str(Delivery.Status.PENDING),
                "revision": change.number,
                "is_awaiting_approval": False,
                "updates_record": fix.updates_records,
                "bulk_fix": str(fix.pk),
                "data": new,
            },
            reason=fix.reason,
        )
        entry.user_id = fix.author_id
        entries.append(entry)
    AuditEntry.objects.bulk_create(entries, batch_size=200)
