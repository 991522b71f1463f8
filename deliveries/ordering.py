"""Ordered subscriptions: strictly one delivery in flight per subscription and record.

A later delivery is *held*: pending without a `due_at`. When the one before it has succeeded or was put aside,
the next is made due. Ingest and engine take the same lock per key, so neither can miss the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from hashlib import blake2b

from django.db import connection

from deliveries.models import Delivery

OrderKey = tuple[uuid.UUID, str]


def lock_order_keys(keys: Collection[OrderKey]) -> None:
    """Hold the keys until the transaction ends. In one order, so that two holders cannot wait for each other.

    SQLite has one writer at a time, which is the same lock.
    """
    if connection.vendor != "postgresql" or not keys:
        return
    numbers = sorted({_lock_number(key) for key in keys})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(n) FROM unnest(%s::bigint[]) AS n", [numbers])


def _lock_number(key: OrderKey) -> int:
    digest = blake2b(f"{key[0]}/{key[1]}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def first_in_line(subscription_id: uuid.UUID, order_key: str) -> Delivery | None:
    """The earliest delivery that has not got through: it is the one that may be sent."""
    return (
        Delivery.objects.filter(subscription_id=subscription_id, order_key=order_key, status__in=Delivery.HOLDING)
        .order_by("id")
        .first()
    )


def is_one_in_flight(subscription_id: uuid.UUID, order_key: str) -> bool:
    """An earlier one that staff resent may be in the queue behind one that is being sent."""
    return Delivery.objects.filter(
        subscription_id=subscription_id, order_key=order_key, status=Delivery.Status.SENDING
    ).exists()


def release_next(subscription_id: uuid.UUID, order_key: str, now: datetime) -> bool:
    """Make the next held delivery of the record due, if nothing before it holds it. Inside a transaction."""
    lock_order_keys([(subscription_id, order_key)])
    first = first_in_line(subscription_id, order_key)
    if first is None or not first.is_held or is_one_in_flight(subscription_id, order_key):
        return False
    return bool(Delivery.objects.filter(id=first.id, status="pending", due_at=None).update(due_at=now))


def release_forgotten(now: datetime, limit: int = 100) -> int:
    """The sweep's safety net: held deliveries that nothing holds. Returns how many were released."""
    held = (
        Delivery.objects.filter(order_key__isnull=False, status="pending", due_at=None)
        .order_by("id")
        .values_list("subscription_id", "order_key")
        .distinct()[:limit]
    )
    return sum(release_next(subscription_id, key, now) for subscription_id, key in held if subscription_id and key)
