"""The lock order for all code: engines, web processes, staff actions, maintenance, commands.

Transactions that lock the same rows in different orders deadlock. So every transaction takes the locks that it needs in
this order:

0.  idempotency keys of sources, by digest       `sources.receive`: used nowhere else
1.  the row of a proposal, then of a bulk fix, a recipe or a simulation, then of a replay or an erasure
    `proposals.deciding`, `recipes.sending`, `recipes.applying`, `simulation.service`, `replay.runner`,
    `erasure.runner`; then events, by id: erasures and backfills only
2.  the engines' claim lock                      `Backend.lock_claims`: engines only
3.  the configuration: first `ConfigVersion.lock()`, then rows of integrations, subscriptions, topics, tokens, stores.
    Triggers take the clock before each statement that changes the configuration (`integrations.config_version`).
4.  failure groups, by id                        `lock_groups`
5.  keys of ordered subscriptions, by number     `lock_order_keys`
6.  deliveries: **never waited for**             `Delivery.objects….lock_free()` (SKIP LOCKED), see below
7.  attempts of those deliveries
8.  records, by type and id as Python sorts them (PostgreSQL: `COLLATE "C"`); a transaction locks all of its records at
    once
9.  idempotency keys
10. notifications, by store and key, then their messages and open incidents
11. the health of integrations, by id: no other lock is waited for after it, except by engines, which hold the claim
    lock; likewise the counts of a source, one row by `sources.requests`

Counts of attempts (`deliveries_attemptcount`) are not in this order: a process only adds to rows of its own, one batch
at a time, and `stats.compaction` moves the rows of past slots, skipping locked ones.

A later lock may be taken without the earlier ones. An earlier lock must not be taken after a later one: first determine
all locks, then take them. Taking a lock again that the transaction already holds is always allowed.

Locks of deliveries are never waited for, because an engine that records plain successes locks its own deliveries before
the claim lock. No other transaction needs those: a delivery that is being sent belongs to the engine that holds its
lease, and only a claim can take a lease away. Bulk operations skip rows locked by others; single actions retry after a
moment (`resolution.rules.locked`). Engines hold the claim lock while they change rows that other transactions change
too, so only one engine does so at a time.

Rows are locked `FOR NO KEY UPDATE` (`no_key=True`), so that inserting a row that refers to them never waits. Only
deletions take the stronger lock, and they skip locked rows.

If the set of locks turns out to be wrong once they are held (a delivery has moved to another group, a plan now has
another order key), roll back the transaction or savepoint, which releases its locks, and start again.

SQLite has one writer at a time: all of these are a single lock.

`tests/deliveries/storage/test_lock_order.py` runs all of these transactions concurrently.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from hashlib import blake2b

from django.db import connection, transaction
from django.db.models import Q

from deliveries.models import Delivery, FailureGroup
from deliveries.models.delivery import DeliveryQuerySet
from deliveries.storage.backend import backend
from deliveries.storage.rows.pushes import OrderKey

#: How often to retry if deliveries change groups between reading and locking.
TRIES = 3


def lock_groups(group_ids: Collection[int | None]) -> None:
    """Lock these failure groups until the transaction ends."""
    lock_groups_where(Q(id__in={group_id for group_id in group_ids if group_id is not None}))


def lock_groups_where(wanted: Q) -> None:
    # Not needed on SQLite, which has one writer at a time.
    if connection.features.has_select_for_update:
        list(FailureGroup.objects.filter(wanted).order_by("id").select_for_update(no_key=True).values_list("id"))


def keys_of(deliveries: Iterable[Delivery]) -> set[OrderKey]:
    """Return the order keys of the ordered deliveries among these."""
    return {
        (delivery.subscription_id, delivery.order_key)
        for delivery in deliveries
        if delivery.subscription_id is not None and delivery.order_key is not None
    }


def lock_order_keys(keys: Collection[OrderKey]) -> None:
    """Lock the keys until the transaction ends. Pass all keys that it needs at once."""
    if keys:
        backend().lock_numbers(sorted({_lock_number(key) for key in keys}))


def _lock_number(key: OrderKey) -> int:
    digest = blake2b(f"{key[0]}/{key[1]}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class _Moved(Exception):
    """A delivery has moved to a group that is not locked."""


def lock_deliveries(wanted: DeliveryQuerySet, ids: Collection[uuid.UUID]) -> list[Delivery]:
    """Lock and return the deliveries `ids` that are in `wanted` and not locked by others, with current values, by id.

    Also locks their failure groups and order keys. Call inside a transaction that holds none of these locks yet.
    """
    for _ in range(TRIES):
        try:
            # Rolling back the savepoint releases these locks.
            with transaction.atomic():
                if found := _locked(wanted, ids):
                    return found
                raise _Moved
        except _Moved:
            continue
    return []


def _locked(wanted: DeliveryQuerySet, ids: Collection[uuid.UUID]) -> list[Delivery]:
    seen = list(Delivery.objects.filter(id__in=ids).only("failure_group_id", "subscription_id", "order_key"))
    groups = {delivery.failure_group_id for delivery in seen}
    lock_groups(groups)
    lock_order_keys(keys_of(seen))
    found = list(wanted.filter(id__in=ids).order_by("id").lock_free())
    if any(delivery.failure_group_id not in {None, *groups} for delivery in found):
        raise _Moved
    return found
