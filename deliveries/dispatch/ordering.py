"""Ordered subscriptions: strictly one delivery in dispatch per subscription and record.

A later delivery is *held*: pending without a `due_at`. When the one before it has succeeded or was put aside,
the next is made due. Ingest and engine take the same lock per key, so neither can miss the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime
from hashlib import blake2b

from django.db import connection, transaction

from deliveries.models import Delivery

OrderKey = tuple[uuid.UUID, str]


def keys_of(deliveries: Iterable[Delivery]) -> set[OrderKey]:
    """Of the ordered ones among them."""
    return {
        (delivery.subscription_id, delivery.order_key)
        for delivery in deliveries
        if delivery.subscription_id is not None and delivery.order_key is not None
    }


def lock_order_keys(keys: Collection[OrderKey]) -> None:
    """Hold the keys until the transaction ends: all that it needs at once, in the order of `deliveries.storage.locks`.

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


def is_one_under_way(subscription_id: uuid.UUID, order_key: str) -> bool:
    """Being sent or due, now or later: one that staff released or resent may go out before the first in line."""
    return Delivery.objects.filter(
        subscription_id=subscription_id, order_key=order_key, status__in=Delivery.OPEN, due_at__isnull=False
    ).exists()


def release_next(subscription_id: uuid.UUID, order_key: str, now: datetime) -> bool:
    """Make the next held delivery of the record due, if nothing before it holds it.

    Inside a transaction that has locked the key.
    """
    first = first_in_line(subscription_id, order_key)
    if first is None or not first.is_held or is_one_under_way(subscription_id, order_key):
        return False
    return bool(Delivery.objects.filter(id=first.id, status="pending", due_at=None).update(due_at=now))


def release_all(keys: Collection[OrderKey], now: datetime) -> int:
    """`release_next` for each of them, all locked at once. Returns how many were released."""
    lock_order_keys(keys)
    return sum(release_next(*key, now) for key in sorted(keys))


def release_forgotten(now: datetime, limit: int = 100) -> int:
    """The sweep's safety net: held deliveries that nothing holds. Returns how many were released."""
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
