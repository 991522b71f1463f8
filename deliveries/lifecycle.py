"""What becomes of deliveries when an integration or a subscription is made or deleted. Connected in `apps.py`."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from deliveries import failures, ports
from deliveries.models import Delivery
from deliveries.pings import request_ping
from integrations.models import Integration
from subscriptions.models import Subscription

#: Rows per statement, so that neither parameters nor memory grow with the backlog.
BATCH = 500
_ENDED_BY_DELETION = [Delivery.Status.PENDING, Delivery.Status.RETRYING, Delivery.Status.FAILED]


def ping_new_subscription(subscription: Subscription, now: datetime) -> None:
    """As Intercom did: a new subscription is pinged at once. Other formats are pinged on demand only."""
    integration = subscription.integration
    if integration.wire_format == Integration.WireFormat.NOTIFICATION and not integration.connector:
        request_ping(subscription=subscription, now=now)


def discard_deliveries_of_integration(integration: Integration, now: datetime) -> None:
    _discard(Delivery.objects.filter(integration=integration), now)


def discard_deliveries_of_subscription(subscription: Subscription, now: datetime) -> None:
    _discard(Delivery.objects.filter(integration=subscription.integration_id, subscription=subscription), now)


def _discard(deliveries: QuerySet[Delivery], now: datetime) -> None:
    """Nobody wants them any more. One that is being sent is left to the engine, which records its outcome.

    Inside a transaction. Locks are taken in the order that holds everywhere: failure groups, then deliveries.
    """
    ended = deliveries.filter(status__in=_ENDED_BY_DELETION)
    groups = set(ended.exclude(failure_group=None).order_by().values_list("failure_group_id", flat=True).distinct())
    failures.lock_groups(groups)
    while batch := list(ended.order_by("id").values_list("id", "store_id", "integration_id", "trigger")[:BATCH]):
        ended.filter(id__in=[row[0] for row in batch]).update(
            status=Delivery.Status.DISCARDED,
            due_at=None,
            lease=None,
            failure_group=None,
            finished_at=now,
            is_awaiting_source=False,
        )
        settled = [
            ports.Settled(delivery_id, store_id, integration_id, Delivery.Status.DISCARDED)
            for delivery_id, store_id, integration_id, trigger in batch
            if trigger != Delivery.Trigger.TEST
        ]
        ports.settled(settled, now)
    failures.close_empty_groups(groups, now)
