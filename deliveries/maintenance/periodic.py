"""Periodic jobs of the engines, every few seconds: polls, stale holds, disabling dead integrations."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.dispatch.ordering import release_orphaned
from deliveries.maintenance import cascade
from deliveries.models import Delivery, Event
from deliveries.operational.publishing import publish_noted
from deliveries.recipes.applying import queue_recipes
from deliveries.runtime.registry import last_periodic
from deliveries.search.queueing import queue_indexing
from integrations.foundation.identifiers import uuid7
from integrations.foundation.languages import staff_language
from integrations.models import Integration, IntegrationHealth
from integrations.services import disable_integration
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.engine")

#: An integration that fails for this long without a success is disabled. Announced, reversible, and replayable.
DISABLE_AFTER = timedelta(days=5)
SWEEP_EVERY = timedelta(seconds=30)

#: An engine leaves the jobs to another of its host that ran them so many seconds ago, a little less than a heartbeat.
LEFT_TO_OTHERS = 4.0

_swept_at: datetime | None = None


def run_in_turn(now: datetime) -> None:
    """Run the jobs unless another engine of this host has just run them: once per heartbeat is enough for a host."""
    moment = time.monotonic()
    if _swept_at is None or moment >= last_periodic.get() + LEFT_TO_OTHERS:
        last_periodic.set(moment)
        run_periodic(now)


def run_periodic(now: datetime) -> None:
    """Run the jobs. Cheap enough for every heartbeat, and safe to run in several engines at once."""
    global _swept_at
    jobs: list[Callable[[datetime], object]] = [make_due_polls, publish_noted, queue_recipes, queue_indexing]
    if _swept_at is None or not timedelta() <= now - _swept_at < SWEEP_EVERY:
        _swept_at = now
        jobs += [release_orphaned, disable_dead_integrations, cascade.note_late_deliveries, cascade.continue_backlogs]
    for job in jobs:
        with log_and_continue(job.__name__, ""):
            job(now)


@contextmanager
def log_and_continue(what: str, which: object) -> Iterator[None]:
    """Log errors of the block and continue with the rest; only database outages are raised."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("%s %s failed; continuing with the rest", what, which)


def make_due_polls(now: datetime) -> int:
    """Create due polls; return how many. A poll is a normal delivery, so that failures are retried and visible."""
    due = Subscription.objects.alive().filter(
        next_poll_at__lte=now, is_active=True, integration__is_enabled=True, integration__deleted_at=None
    )
    count = 0
    # Do not load the parameters: they may be unreadable, which the poll itself then reports.
    for subscription in due.defer("parameters")[:500]:
        with log_and_continue("polling", subscription.id):
            count += make_poll(subscription, now)
    return count


def make_poll(subscription: Subscription, now: datetime) -> bool:
    """Create a poll. False: another engine created it, or the previous poll is still open."""
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
    """Retry a waiting poll now, unless the receiver asked for a pause: the retry schedule might wait up to a day."""
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
        with log_and_continue("disabling integration", integration_id):
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
