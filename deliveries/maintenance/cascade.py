"""What happens to deliveries when an integration or a subscription is created or deleted. Connected in `apps.py`.

A deletion only records that there is a backlog to discard. The backlog is discarded after the commit, in small
transactions, so that pushes and engines never wait for it; the engines' maintenance completes what the deleting process
did not finish. In the meantime engines do not send any of it: see `without_deleted`.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from deliveries import hooks
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.failures import groups
from deliveries.models import Backlog, Delivery
from deliveries.models.delivery import DeliveryQuerySet
from deliveries.previews.ping import request_ping
from deliveries.results.attempts import began_at, interrupted
from deliveries.storage import backend
from deliveries.storage.locks import lock_deliveries
from integrations.models import Integration
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.lifecycle")

#: Deliveries per transaction.
BATCH = 200
#: Seconds that a deletion spends on its backlog; the engines' maintenance does the rest.
SECONDS = 2.0
#: Pause between two transactions, so that others can write on SQLite.
PAUSE = 0.005
_ENDED_BY_DELETION = [Delivery.Status.PENDING, Delivery.Status.RETRYING, Delivery.Status.FAILED]


def ping_new_subscription(subscription: Subscription, now: datetime) -> None:
    """Ping a new subscription at once if the format does so, as Intercom did. Others are pinged on demand only."""
    if subscription.integration.adapter.pings_new_subscriptions:
        request_ping(subscription=subscription, now=now)


def discard_deliveries_of_integration(integration: Integration, now: datetime) -> None:
    _record_backlog(integration.pk, None, now)


def discard_deliveries_of_subscription(subscription: Subscription, now: datetime) -> None:
    _record_backlog(subscription.integration_id, subscription.pk, now)


def _record_backlog(integration_id: int, subscription_id: uuid.UUID | None, now: datetime) -> None:
    """Record the backlog, in the deleting transaction, and discard it after the commit."""
    mine = Q(subscription=subscription_id) if subscription_id is not None else Q(subscription=None)
    backlog = Backlog.objects.filter(mine, integration=integration_id).first() or Backlog.objects.create(
        integration_id=integration_id, subscription_id=subscription_id, created_at=now
    )
    transaction.on_commit(partial(_discard_within_time_limit, backlog.pk), robust=True)


def _discard_within_time_limit(backlog_id: int) -> None:
    backlog = Backlog.objects.filter(pk=backlog_id).first()
    if backlog is not None:
        discard(backlog, timezone.now(), seconds=SECONDS)


def note_late_deliveries(now: datetime) -> int:
    """Record backlogs of deleted integrations that have due deliveries again; return how many integrations.

    A push in progress may have created them after the rest of the backlog was discarded, and no engine claims them.
    Part of the engines' maintenance.
    """
    has_lease = Q(status=Delivery.Status.SENDING, due_at__gt=now)
    waiting = Delivery.objects.filter(~has_lease, integration=OuterRef("pk"), due_at__isnull=False)
    deleted = list(Integration.objects.exclude(deleted_at=None).filter(Exists(waiting)).values_list("pk", flat=True))
    for integration_id in deleted:
        with transaction.atomic():
            _record_backlog(integration_id, None, now)
    return len(deleted)


def continue_backlogs(now: datetime) -> int:
    """Discard remaining backlogs; return how many deliveries were discarded. Part of the engines' maintenance."""
    return sum(discard(backlog, now, seconds=SECONDS) for backlog in Backlog.objects.order_by("pk")[:20])


def discard(backlog: Backlog, now: datetime, *, seconds: float) -> int:
    """Discard the backlog; return how many deliveries. Call outside a transaction. Safe to interrupt and repeat.

    Skips deliveries that are being sent: the engine records their outcome, and the next run discards them.
    """
    until = time.monotonic() + seconds
    _end_leases(backlog, now)
    ended = deliveries_of(backlog).filter(status__in=_ENDED_BY_DELETION)
    count, cursor = 0, uuid.UUID(int=0)
    while ids := list(ended.filter(id__gt=cursor).order_by("id").values_list("id", flat=True)[:BATCH]):
        cursor = ids[-1]
        count += _discard_batch(ended, ids, now)
        if time.monotonic() > until:
            logger.info("%s: discarded %s deliveries, more to come", backlog, count)
            return count
        time.sleep(PAUSE)
    if not deliveries_of(backlog).filter(status__in=[*_ENDED_BY_DELETION, Delivery.Status.SENDING]).exists():
        backlog.delete()
    return count


def _end_leases(backlog: Backlog, now: datetime) -> None:
    """End the leases of engines that died: no engine would claim these deliveries again."""
    died = deliveries_of(backlog).filter(status=Delivery.Status.SENDING, due_at__lte=now)
    ids = list(died.order_by("id").values_list("id", flat=True))
    if not ids:
        return
    with transaction.atomic():
        ended = lock_deliveries(died, ids)
        Delivery.objects.filter(id__in=[row.id for row in ended]).update(
            status=Delivery.Status.RETRYING, lease=None, due_at=None
        )
        timeout = Integration.objects.values_list("timeout", flat=True).get(id=backlog.integration_id)
        backend().interrupt_attempts(
            [
                interrupted(
                    row.id,
                    row.attempt_count,
                    row.trigger,
                    row.revision,
                    began_at(row.due_at or now, timeout, row.first_sent_at),
                )
                for row in ended
            ]
        )


def deliveries_of(backlog: Backlog) -> DeliveryQuerySet:
    found: DeliveryQuerySet = Delivery.objects.filter(integration_id=backlog.integration_id)
    return found.filter(subscription_id=backlog.subscription_id) if backlog.subscription_id is not None else found


def _discard_batch(ended: DeliveryQuerySet, ids: Sequence[uuid.UUID], now: datetime) -> int:
    with transaction.atomic():
        rows = lock_deliveries(ended, ids)
        Delivery.objects.filter(id__in=[row.id for row in rows]).update(
            status=Delivery.Status.DISCARDED,
            due_at=None,
            lease=None,
            failure_group=None,
            finished_at=now,
            is_awaiting_source=False,
        )
        groups.close_empty_groups({row.failure_group_id for row in rows}, now)
        reported = [row for row in rows if row.trigger != Delivery.Trigger.TEST]
        hooks.settled(
            [
                hooks.DeliveryChange(row.id, row.store_id, row.integration_id, Delivery.Status.DISCARDED)
                for row in reported
            ],
            now,
        )
    return len(rows)


def without_deleted(claims: list[ClaimedDelivery], deleted: set[uuid.UUID], now: datetime) -> list[ClaimedDelivery]:
    """Return the claims whose subscription is not in `deleted`. Call inside the claim's transaction.

    The others are released without a due time, and a backlog is recorded for them: a push in progress may have created
    them after the rest of the backlog was discarded.
    """
    unwanted = [claimed for claimed in claims if claimed.subscription_id in deleted]
    for claimed in unwanted:
        assert claimed.subscription_id is not None
        Delivery.objects.filter(id=claimed.id, lease=claimed.lease).update(
            status=Delivery.Status.RETRYING, lease=None, due_at=None, attempt_count=F("attempt_count") - 1
        )
    if unwanted:
        backlogs = {claimed.subscription_id: claimed.integration_id for claimed in unwanted}
        Backlog.objects.bulk_create(
            [Backlog(integration_id=key, subscription_id=pk, created_at=now) for pk, key in backlogs.items()],
            ignore_conflicts=True,
        )
    return [claimed for claimed in claims if claimed.subscription_id not in deleted]
