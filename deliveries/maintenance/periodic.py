"""What engines do every few seconds besides sending: polls, stale holds, auto-disabling integrations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.dispatch.ordering import release_forgotten
from deliveries.maintenance import cascade
from deliveries.models import Delivery, Event
from deliveries.operational.publishing import publish_noted
from deliveries.recipes.applying import queue_recipes
from deliveries.search.queueing import queue_indexing
from integrations.foundation.identifiers import uuid7
from integrations.foundation.languages import staff_language
from integrations.models import Integration, IntegrationHealth
from integrations.services import disable_integration
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.engine")

#: An integration that has failed this long without a success is disabled: announced, reversible, replayable.
DISABLE_AFTER = timedelta(days=5)
SWEEP_EVERY = timedelta(seconds=30)

_swept_at: datetime | None = None


def run_periodic(now: datetime) -> None:
    """Cheap enough for every heartbeat; all of it may run in several engines at once without harm."""
    global _swept_at
    jobs: list[Callable[[datetime], object]] = [make_due_polls, publish_noted, queue_recipes, queue_indexing]
    if _swept_at is None or not timedelta() <= now - _swept_at < SWEEP_EVERY:
        _swept_at = now
        jobs += [release_forgotten, disable_dead_integrations, cascade.note_left_behind, cascade.go_on]
    for job in jobs:
        with harmless(job.__name__, ""):
            job(now)


@contextmanager
def harmless(what: str, which: object) -> Iterator[None]:
    """An error with one must not delay the others."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%s %s failed; continuing with the rest", what, which)


def make_due_polls(now: datetime) -> int:
    """A poll is a delivery like any other, so that its failures are retried and visible.

    Returns how many were created.
    """
    due = Subscription.objects.alive().filter(
        next_poll_at__lte=now, is_active=True, integration__is_enabled=True, integration__deleted_at=None
    )
    count = 0
    # Without its parameters, which may be unreadable: then the poll itself says so.
    for subscription in due.defer("parameters")[:500]:
        with harmless("polling", subscription.id):
            count += make_poll(subscription, now)
    return count


def make_poll(subscription: Subscription, now: datetime) -> bool:
    """False: another engine created it, or the previous poll is still in progress."""
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
    """Retry a waiting poll at the next interval: after an outage the retry schedule would wait a day.

    Not if the receiver itself asked for a pause.
    """
    if poll.status != Delivery.Status.RETRYING or poll.due_at is None or poll.due_at <= now:
        return
    last = poll.attempts.order_by("-number").values_list("response_headers", flat=True).first()
    if any(name.lower() == "retry-after" for name, _ in last or ()):
        return
    mine = Delivery.objects.filter(id=poll.id, status=Delivery.Status.RETRYING, lease=poll.lease)
    Delivery.objects.filter(id__in=list(mine.lock_free().values_list("id", flat=True))).update(due_at=now)


def disable_dead_integrations(now: datetime) -> int:
    dead = IntegrationHealth.objects.filter(
        first_failure_at__lt=now - DISABLE_AFTER, integration__is_enabled=True, integration__deleted_at=None
    )
    count = 0
    for integration_id, since in dead.values_list("integration_id", "first_failure_at"):
        with harmless("disabling integration", integration_id):
            assert since is not None
            count += _disable(integration_id, since, now)
    return count


def _disable(integration_id: int, since: datetime, now: datetime) -> bool:
    integration = Integration.objects.defer("token", "parameters").get(id=integration_id)
    moment = f"{since:%Y-%m-%d %H:%M} UTC"
    with transaction.atomic():
        if not disable_integration(integration=integration, reason=f"Every attempt has failed since {moment}."):
            return False
        with staff_language():
            words = _(
                "%(name)s was disabled. Every attempt has failed since %(time)s. Fix the cause and enable it; due "
                "deliveries are sent then."
            )
            text = words % {"name": integration.name, "time": moment}
        hooks.announced(integration.store_id, integration.id, f"disabled:{integration.id}", "error", text, now)
    return True
