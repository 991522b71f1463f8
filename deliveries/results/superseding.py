"""Supersede deliveries that a later success makes obsolete: those awaiting their source, and missed polls."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from deliveries import hooks
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Delivery, FailureGroup
from deliveries.models.delivery import DeliveryQuerySet
from deliveries.storage.rows.pushes import OrderKey

MAX_POLLS = 500


@dataclass(frozen=True, slots=True)
class Superseded:
    """A delivery that is superseded if it is still in this group when the group is locked."""

    delivery_id: uuid.UUID
    group_id: int | None
    subscription_id: uuid.UUID | None
    order_key: str | None

    @property
    def key(self) -> OrderKey | None:
        return (self.subscription_id, self.order_key) if self.subscription_id and self.order_key is not None else None


def is_anyone_awaiting_source() -> bool:
    """Whether any delivery awaits its source. Rarely true, and cheap: a partial index holds only those."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM deliveries_delivery WHERE is_awaiting_source LIMIT 1")
        return cursor.fetchone() is not None


def awaiting(succeeded: Sequence[ClaimedDelivery]) -> list[Superseded]:
    """Return deliveries that awaited a later push of the same record, if one of `succeeded` is that push."""
    latest: dict[tuple[uuid.UUID, str, str], uuid.UUID] = {}
    for claimed in succeeded:
        if claimed.subscription_id and claimed.object_id:
            record = (claimed.subscription_id, claimed.object_type, claimed.object_id)
            latest[record] = max(claimed.id, latest.get(record, claimed.id))
    rows = Delivery.objects.filter(is_awaiting_source=True, subscription_id__in={record[0] for record in latest})
    found = rows.values_list(
        "id", "failure_group_id", "subscription_id", "order_key", "event__object_type", "event__object_id"
    )
    return [
        Superseded(*row[:4])
        for row in found
        if (later := latest.get((row[2], row[4], row[5]))) is not None and later > row[0]
    ]


def missed_polls(claimed: ClaimedDelivery) -> list[Superseded]:
    """Return earlier failed polls: a successful poll covers everything since the last success."""
    groups = FailureGroup.objects.filter(integration_id=claimed.integration_id, status=FailureGroup.Status.OPEN)
    missed = Delivery.objects.filter(
        failure_group__in=groups, subscription_id=claimed.subscription_id, topic="poll", status=Delivery.Status.FAILED
    )
    rows = missed.values_list("id", "failure_group_id", "subscription_id", "order_key")[:MAX_POLLS]
    return [Superseded(*row) for row in rows]


def supersede(found: Collection[Superseded], now: datetime) -> list[int]:
    """Mark the deliveries as superseded; return the groups that they left.

    Call inside a transaction that has locked their groups and order keys. Skips deliveries that staff or maintenance
    have locked.
    """
    groups = {row.delivery_id: row.group_id for row in found}
    wanted: DeliveryQuerySet = Delivery.objects.filter(id__in=groups).exclude(status__in=["sending", "succeeded"])
    rows = [one for one in wanted.order_by("id").lock_free() if one.failure_group_id in (None, groups[one.id])]
    if not rows:
        return []
    Delivery.objects.filter(id__in=[one.id for one in rows]).update(
        status="superseded", due_at=None, finished_at=now, is_awaiting_source=False, failure_group=None, last_error=""
    )
    hooks.settled([hooks.DeliveryChange(one.id, one.store_id, one.integration_id, "superseded") for one in rows], now)
    return [one.failure_group_id for one in rows if one.failure_group_id is not None]
