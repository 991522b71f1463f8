"""What engines do every few seconds beside sending: polls, forgotten holds, integrations down for days."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from deliveries import ports
from deliveries.models import Delivery, Event
from deliveries.ordering import release_forgotten
from integrations.identifiers import uuid7
from integrations.models import IntegrationHealth
from integrations.services import disable_integration
from subscriptions.models import Subscription

#: An integration that failed for so long without one success is disabled: announced, reversible, replayable.
DISABLE_AFTER = timedelta(days=5)
SWEEP_EVERY = timedelta(seconds=30)

_swept_at: datetime | None = None


def tick(now: datetime) -> None:
    """Cheap enough for every heartbeat; all of it may run in several engines at once without harm."""
    global _swept_at
    make_due_polls(now)
    if _swept_at is None or not timedelta() <= now - _swept_at < SWEEP_EVERY:
        _swept_at = now
        release_forgotten(now)
        disable_dead_integrations(now)


def make_due_polls(now: datetime) -> int:
    """A poll is a delivery like any other, so that its failures are retried and seen. Returns how many were made."""
    due = Subscription.objects.alive().filter(
        next_poll_at__lte=now, is_active=True, integration__is_enabled=True, integration__deleted_at=None
    )
    return sum(make_poll(subscription, now) for subscription in due[:500])


def make_poll(subscription: Subscription, now: datetime) -> bool:
    """False: another engine made it, or the poll before is still on its way."""
    assert subscription.poll_every is not None
    with transaction.atomic():
        won = Subscription.objects.filter(id=subscription.id, next_poll_at=subscription.next_poll_at).update(
            next_poll_at=now + timedelta(seconds=subscription.poll_every)
        )
        if not won:
            return False
        mine = Delivery.objects.open().filter(
            integration_id=subscription.integration_id, subscription_id=subscription.id, topic="poll"
        )
        if waiting := mine.first():
            _bring_forward(waiting, now)
            return False
        since = subscription.last_poll_at
        event = Event.objects.create(
            store_id=subscription.store_id,
            topic="poll",
            object_type="poll",
            data={"since": since.isoformat() if since else None},
            origin=Event.Origin.POLL,
            occurred_at=now,
            created_at=now,
        )
        Delivery.objects.create(
            id=uuid7(),
            event=event,
            store_id=subscription.store_id,
            integration_id=subscription.integration_id,
            subscription_id=subscription.id,
            topic="poll",
            due_at=now,
            created_at=now,
        )
    return True


def _bring_forward(poll: Delivery, now: datetime) -> None:
    """Try a poll that waits for its retry with the next interval: after an outage the schedule would wait a day.

    Not where the receiver itself asked for a pause.
    """
    if poll.status != Delivery.Status.RETRYING or poll.due_at is None or poll.due_at <= now:
        return
    last = poll.attempts.order_by("-number").values_list("response_headers", flat=True).first()
    if any(name.lower() == "retry-after" for name, _ in last or ()):
        return
    Delivery.objects.filter(id=poll.id, status=Delivery.Status.RETRYING, lease=poll.lease).update(due_at=now)


def disable_dead_integrations(now: datetime) -> int:
    dead = IntegrationHealth.objects.filter(
        first_failure_at__lt=now - DISABLE_AFTER, integration__is_enabled=True, integration__deleted_at=None
    ).select_related("integration")
    count = 0
    for health in dead:
        integration = health.integration
        reason = f"Every attempt has failed since {health.first_failure_at:%Y-%m-%d %H:%M} UTC."
        with transaction.atomic():
            if not disable_integration(integration=integration, reason=reason):
                continue
            text = f"{integration.name} was disabled. {reason} Repair it and enable it: what is due goes out then."
            ports.announced(integration.store_id, integration.id, f"disabled:{integration.id}", "error", text, now)
        count += 1
    return count
