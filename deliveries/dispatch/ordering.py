"""Ordered subscriptions: strictly one delivery in flight per subscription and record.

A later delivery is *held*: pending without a `due_at`. It is made due once the one before it has succeeded or was
discarded. Ingest and the engines take the same lock per key, so neither can miss the other's change.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from deliveries.models import Delivery
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.pushes import OrderKey


def first_unfinished(subscription_id: uuid.UUID, order_key: str) -> Delivery | None:
    """Return the earliest unfinished delivery of the key: the one that may be sent."""
    return (
        Delivery.objects.filter(subscription_id=subscription_id, order_key=order_key, status__in=Delivery.HOLDING)
        .order_by("id")
        .first()
    )


def is_one_scheduled(subscription_id: uuid.UUID, order_key: str) -> bool:
    """Whether a delivery of the key is sending or scheduled. Staff may release or resend one out of order."""
    return Delivery.objects.filter(
        subscription_id=subscription_id, order_key=order_key, status__in=Delivery.OPEN, due_at__isnull=False
    ).exists()


def release_next(subscription_id: uuid.UUID, order_key: str, now: datetime) -> bool:
    """Make the next held delivery of the record due, unless an earlier one still blocks it.

    Call inside a transaction that has locked the key.
    """
    first = first_unfinished(subscription_id, order_key)
    if first is None or not first.is_held or is_one_scheduled(subscription_id, order_key):
        return False
    return bool(Delivery.objects.filter(id=first.id, status="pending", due_at=None).update(due_at=now))


def release_all(keys: Collection[OrderKey], now: datetime) -> int:
    """Lock all keys at once and call `release_next` for each. Returns how many were released."""
    lock_order_keys(keys)
    return sum(release_next(*key, now) for key in sorted(keys))


def release_orphaned(now: datetime, limit: int = 100) -> int:
    """Release held deliveries with nothing ahead of them: the sweep's safety net. Returns how many were released."""
    held = (
        Delivery.objects.filter(order_key__isnull=False, status="pending", due_at=None)
        .order_by("id")
        .values_list("subscription_id", "order_key")
        .distinct()[:limit]
    )
    count = 0
    for subscription_id, key in held:
        if subscription_id and key:
            with transaction.atomic():
                count += release_all([(subscription_id, key)], now)
    return count
