"""Pings: a test event to one subscription or integration (docs/contract.md#wire-formats).

They are attempts with trigger `test`: never retried, never a notification, never counted by breaker or
auto-disable. A ping to a new subscription is queued for the engine; one on demand is sent immediately and awaited.
"""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import translation

from deliveries.dispatch.build import prepare
from deliveries.dispatch.config_cache import ConfigCache
from deliveries.dispatch.interpret import send_one
from deliveries.dispatch.types import LEASE_GRACE, AttemptResult, ClaimedDelivery, Dispatch
from deliveries.models import Attempt, Delivery, Event
from deliveries.results.record import record
from deliveries.runtime.notify import wake_on_commit
from integrations.foundation.identifiers import uuid7
from integrations.foundation.strict_json import dump_document
from integrations.models import Integration
from integrations.transport import Request
from integrations.wire_formats.base import PayloadError
from subscriptions.models import Subscription

PING_DATA = {"message": "This is a test from Hookdesk. Nothing needs to be done."}


def request_ping(*, subscription: Subscription, now: datetime) -> Delivery:
    """Queue a ping for the engine. Inside the caller's transaction, if there is one."""
    delivery = _make(subscription.integration, subscription, now, is_leased=False)
    wake_on_commit()
    return delivery


def ping_now(*, integration: Integration, now: datetime, subscription: Subscription | None = None) -> Attempt:
    """Send a ping and wait for its result. Raises PayloadError (kind `no_ping`) if the connector has none."""
    directory = ConfigCache()
    destination = directory.destination(integration.id)
    subscription_id = subscription.id if subscription is not None else None
    claimed = ClaimedDelivery.sample(
        integration,
        now,
        subscription_id=subscription_id,
        trigger="test",
        event_topic="ping",
        object_type="ping",
        data_json=dump_document(PING_DATA),
        origin="test",
    )
    with translation.override("en"):  # the attempt is stored, for all readers
        message, request = prepare(claimed, directory, now)
        if not isinstance(request, Request) and request.kind == "no_ping":
            raise PayloadError(request.kind, request.message)
        with transaction.atomic():
            delivery = _make(integration, subscription, now, is_leased=True, ids=(claimed.id, claimed.lease))
        dispatch = Dispatch(claimed, message, request if isinstance(request, Request) else None, now)
        result = (
            send_one(dispatch, destination) if isinstance(request, Request) else AttemptResult.unsent(dispatch, request)
        )
        record([result], destination_of=directory.destination, now=now, rng=random.Random())  # noqa: S311
    # Without fields that may be undecryptable: then the attempt reports it.
    attempts = Attempt.objects.select_related("delivery__integration", "delivery__subscription").defer(
        "delivery__integration__token", "delivery__integration__parameters", "delivery__subscription__parameters"
    )
    return attempts.get(delivery_id=delivery.id, number=1)


def _make(
    integration: Integration,
    subscription: Subscription | None,
    now: datetime,
    *,
    is_leased: bool,
    ids: tuple[uuid.UUID, uuid.UUID] | None = None,
) -> Delivery:
    delivery_id, lease = ids or (uuid7(), None)
    event = Event.objects.create(
        store_id=integration.store_id,
        topic="ping",
        object_type="ping",
        data=PING_DATA,
        origin=Event.Origin.TEST,
        occurred_at=now,
        created_at=now,
    )
    until = now + timedelta(seconds=integration.timeout + LEASE_GRACE)
    return Delivery.objects.create(
        id=delivery_id,
        event=event,
        store_id=integration.store_id,
        integration=integration,
        subscription=subscription,
        topic="ping",
        trigger="test",
        status="sending" if is_leased else "pending",
        lease=lease,
        due_at=until if is_leased else now,
        attempt_count=1 if is_leased else 0,
        first_sent_at=now if is_leased else None,
        created_at=now,
    )
