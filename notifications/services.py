"""Notifications: created from delivery events, resolved by them or by staff.

The listeners run in the transaction that records outcomes, within their own savepoint: any error
here is logged and swallowed, and never affects a delivery. A batch costs a few statements however many
outcomes it has; successes without a summary cost none.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Collate
from django.utils import timezone

from deliveries.failures import groups as failures
from deliveries.failures.fingerprint import normalise_message
from deliveries.hooks import DeliveryChange
from deliveries.models import Delivery, FailureGroup
from deliveries.storage import backend
from deliveries.storage.counters import Counters
from deliveries.storage.locks import lock_groups
from integrations.foundation.audit import Actor, record_change
from notifications import follow_ups, personal
from notifications.models import Notification, OpenIncident
from notifications.routing import queue_messages

logger = logging.getLogger("hookdesk.notifications")

Level = Notification.Level
Status = Notification.Status
SUMMARY_LIMIT = 2_000  #: characters
AUTO = "auto"

_COUNTERS = Counters(
    Notification,
    unique=("store_id", "key"),
    added=("occurrences",),
    replaced=("level", "summary", "status", "resolved_by", "last_at", "resolved_at"),
    computed={"delivery_id": "COALESCE(excluded.delivery_id, notifications_notification.delivery_id)"},
)


@dataclass(slots=True)
class _Row:
    """One notification to create or to increment."""

    store_id: uuid.UUID
    key: str
    level: str
    summary: str
    integration_id: int | None
    group_id: int | None = None
    delivery_id: uuid.UUID | None = None
    count: int = 0

    @property
    def is_open(self) -> bool:
        return self.level != Level.INFO


_Rows = dict[tuple[uuid.UUID, str], _Row]


# --- listeners for delivery events
# -----------------------------------------------------------------------------------------


def on_settled(batch: Sequence[DeliveryChange], now: datetime) -> None:
    """Listener of `hooks.settled`: errors by failure group, and receivers' messages on success."""
    rows: _Rows = {}
    for settled in batch:
        if settled.group_id is not None:
            summary = settled.summary or settled.message
            _count(rows, settled, f"group:{settled.group_id}", Level.ERROR, summary, settled.group_id)
        elif settled.summary and settled.status == Delivery.Status.SUCCEEDED:
            digest = sha256(normalise_message(settled.summary).encode("utf-8", "replace")).hexdigest()[:32]
            _count(rows, settled, f"info:{settled.integration_id}:{digest}", Level.INFO, settled.summary, None)
    if rows:
        with _harmless("delivery outcomes"):
            _store(rows, now)


def _count(rows: _Rows, settled: DeliveryChange, key: str, level: str, summary: str, group_id: int | None) -> None:
    row = rows.setdefault(
        (settled.store_id, key),
        _Row(settled.store_id, key, level, "", settled.integration_id, group_id),
    )
    row.summary = summary
    row.delivery_id = settled.delivery_id
    row.count += 1


def on_groups_resolved(group_ids: Sequence[int], by: str, now: datetime) -> None:
    """Listener of `hooks.groups_resolved`."""
    with _harmless("resolved groups"):
        found = Notification.objects.open().filter(failure_group_id__in=group_ids)
        if len(group_ids) > 1:
            list(_in_order(found).values_list("id"))
        found.update(status=Status.RESOLVED, resolved_by=by[:200], resolved_at=now)
        follow_ups.expect(OpenIncident.objects.filter(notification__failure_group_id__in=group_ids))


def on_groups_reopened(group_ids: Sequence[int], now: datetime) -> None:
    """Listener of `hooks.groups_reopened`: their notifications are open too. No message: staff did it."""
    with _harmless("reopened groups"):
        found = Notification.objects.filter(failure_group_id__in=group_ids)
        known = set(_in_order(found).values_list("failure_group_id", flat=True))
        found.update(status=Status.OPEN, resolved_by=None, resolved_at=None)
        rows = [
            _Row(group.store_id, f"group:{group.pk}", Level.ERROR, group.message, group.integration_id, group.pk)
            for group in FailureGroup.objects.filter(id__in=group_ids).exclude(id__in=known)
        ]
        if rows:
            _upsert(sorted(rows, key=lambda row: (row.store_id, row.key)), now)


def on_cases_woken(group_ids: Sequence[int], now: datetime) -> None:
    """Listener of `hooks.cases_woken`: their messages go out now, and whoever has the case is told."""
    with _harmless("cases whose snooze is over"):
        found = Notification.objects.open().filter(failure_group_id__in=group_ids)
        queue_messages(list(found.values_list("id", flat=True)), now, again=True)
        personal.tell_assignees(group_ids, "woke", now)


def on_announced(
    store_id: uuid.UUID, integration_id: int | None, key: str, level: str, text: str, now: datetime
) -> None:
    """Listener of `hooks.announced`: one notification per store and key, reopened if it was resolved."""
    row = _Row(store_id, key[:200], level, text, integration_id, count=1)
    with _harmless(f"the announcement {key}"):
        _store({(store_id, row.key): row}, now)


def on_announcement_settled(store_id: uuid.UUID, key: str, by: str, now: datetime) -> None:
    """Listener of `hooks.announcement_settled`."""
    with _harmless(f"the end of {key}"):
        resolve_announced(store_id, key, by, now)


def on_deliveries_pruned(delivery_ids: Sequence[uuid.UUID]) -> None:
    """Listener of `hooks.deliveries_pruned`: notifications outlive their latest delivery."""
    found = Notification.objects.filter(delivery__in=delivery_ids)
    list(_in_order(found).values_list("id"))
    found.update(delivery=None)


def _in_order(found: QuerySet[Notification], *, is_waiting: bool = True) -> QuerySet[Notification]:
    """Sort rows in the lock order of `deliveries.storage.locks`. Python and the databases sort UUIDs alike."""
    by_key = found.order_by("store_id", Collate("key", backend().byte_collation))
    return by_key.select_for_update(no_key=is_waiting, skip_locked=not is_waiting)


def resolve_announced(store_id: uuid.UUID, key: str, by: str, now: datetime) -> bool:
    """Resolve what was announced under this key. False if it was not open."""
    announced = Notification.objects.open().filter(store_id=store_id, key=key[:200])
    changed = bool(announced.update(status=Status.RESOLVED, resolved_by=by[:200], resolved_at=now))
    if changed:
        follow_ups.expect(OpenIncident.objects.filter(notification__store_id=store_id, notification__key=key[:200]))
    return changed


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except Exception:  # the delivery must be recorded, whatever goes wrong here
        logger.exception("could not record %s", what)


def _store(rows: _Rows, now: datetime) -> None:
    """Insert or increment, and queue messages for what has just opened."""
    # Always in the same order, so that two engines cannot deadlock.
    ordered = [rows[key] for key in sorted(rows)]
    news = _not_open_yet(ordered)
    ids = _upsert(ordered, now)
    if not news:
        return
    opened = {row.group_id for row in news if row.group_id is not None}
    cases = list(FailureGroup.objects.filter(id__in=opened)) if opened else []
    # Of a case that is snoozed nobody is told, however often it clears and fails again.
    asleep = {case.pk for case in cases if case.is_snoozed_at(now)}
    queue_messages([ids[row.store_id, row.key] for row in news if row.group_id not in asleep], now)
    if wanted := [case.pk for case in cases if case.assignee_id is not None and case.pk not in asleep]:
        personal.tell_assignees(wanted, "returned", now)


def _not_open_yet(rows: Iterable[_Row]) -> list[_Row]:
    """Return the rows that this batch opens. An `info` is never open and counts each time (channels limit it)."""
    opening = [row for row in rows if row.is_open]
    already: set[tuple[uuid.UUID, str]] = set()
    if opening:
        stores, keys = {row.store_id for row in opening}, {row.key for row in opening}
        found = Notification.objects.open().filter(store_id__in=stores, key__in=keys)
        already = set(found.values_list("store_id", "key"))
    return [row for row in rows if (row.store_id, row.key) not in already]


def _upsert(rows: Sequence[_Row], now: datetime) -> dict[tuple[Any, ...], uuid.UUID]:
    return _COUNTERS.add(
        [
            {
                "id": uuid.uuid4(),
                "store_id": row.store_id,
                "level": str(row.level),
                "summary": row.summary.replace("\0", "").strip()[:SUMMARY_LIMIT],
                "status": Status.OPEN.value if row.is_open else Status.RESOLVED.value,
                "resolved_by": None if row.is_open else AUTO,
                "occurrences": row.count,
                "failure_group_id": row.group_id,
                "key": row.key,
                "integration_id": row.integration_id,
                "delivery_id": row.delivery_id,
                "created_at": now,
                "last_at": now,
                "resolved_at": None if row.is_open else now,
            }
            for row in rows
        ]
    )


# --- actions of staff ------------------------------------------------------------------------------------------------


def resolve_notification(*, notification: Notification, actor: Actor, now: datetime | None = None) -> bool:
    """Mark as resolved by staff, with an error's failure group, which the next failure reopens.

    Returns False, without changes, if it was resolved already.
    """
    now = now or timezone.now()
    with transaction.atomic():
        group = notification.failure_group
        if group is not None:
            # Groups are locked before notifications, everywhere.
            lock_groups([group.pk])
        found = Notification.objects.open().filter(pk=notification.pk)
        changed = found.update(status=Status.RESOLVED, resolved_by=actor.name[:200], resolved_at=now)
        if changed:
            if group is not None:
                failures.resolve_group(group=group, actor=actor, now=now)
            follow_ups.expect(OpenIncident.objects.filter(notification=notification))
            _audit(notification, actor, "resolve", Status.OPEN, Status.RESOLVED)
    notification.refresh_from_db()
    return bool(changed)


def reopen_notification(*, notification: Notification, actor: Actor, now: datetime | None = None) -> bool:
    """Reopen. Returns False, without changes, if it is open already or merely informational."""
    if notification.level == Level.INFO:
        return False
    now = now or timezone.now()
    with transaction.atomic():
        group = notification.failure_group
        if group is not None:
            lock_groups([group.pk])
        resolved = Notification.objects.filter(pk=notification.pk, status=Status.RESOLVED)
        changed = resolved.update(status=Status.OPEN, resolved_by=None, resolved_at=None)
        if changed:
            if group is not None:
                failures.reopen_group(group=group, actor=actor, now=now)
            _audit(notification, actor, "reopen", Status.RESOLVED, Status.OPEN)
    notification.refresh_from_db()
    return bool(changed)


def _audit(notification: Notification, actor: Actor, action: str, before: str, after: str) -> None:
    record_change(
        actor=actor,
        action=action,
        target=notification,
        store=notification.store_id,
        name=notification.summary,
        before={"status": str(before)},
        after={"status": str(after)},
    )


def prune_notifications(before: datetime, limit: int = 1_000, *, stores: Q | None = None) -> int:
    """Delete resolved notifications older than `before`, at most `limit`, of these stores; returns how many."""
    old = Notification.objects.filter(stores or Q(), status=Status.RESOLVED, last_at__lt=before)
    ids = list(old.order_by("last_at").values_list("id", flat=True)[:limit])
    with transaction.atomic():
        # One that is being reopened is no longer old.
        free = list(_in_order(old.filter(id__in=ids), is_waiting=False).values_list("id", flat=True))
        Notification.objects.filter(id__in=free).delete()
    return len(free)
