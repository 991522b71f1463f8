"""Pushes as the web server writes them."""

from __future__ import annotations

import uuid
from datetime import timedelta

from deliveries.storage.rows.pushes import DeliveryRow, EventRow, IdempotencyRecord, PushRows, RecordRow, WaitingPush
from integrations.foundation.identifiers import uuid7
from integrations.models import Store
from subscriptions.models import Subscription
from tests.deliveries.storage.queued import NOW


def a_push(
    subscription: Subscription,
    object_id: str = "",
    *,
    key: str | None = None,
    read_version: int = 0,
    lease: uuid.UUID | None = None,
) -> WaitingPush:
    """One event with one delivery; with an `object_id`, of a record that is written too."""
    store = Store.objects.get(id=subscription.store_id)
    event = EventRow(uuid7(), "order.created", None, "order", object_id, '{"n":"é"}', NOW)
    due = NOW + timedelta(seconds=60) if lease else NOW
    delivery = DeliveryRow(
        uuid7(), event.id, subscription.integration_id, subscription.id, "order.created", None, due, lease
    )
    records = [RecordRow("order", object_id, event.data_json, read_version + 1, read_version)] if object_id else []
    rows = PushRows(store.id, store.config_version, "push", NOW, False, records, [event], [delivery])
    return WaitingPush(rows, None if key is None else IdempotencyRecord(key, "hash", {"n": object_id}))
