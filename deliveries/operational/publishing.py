"""From noted rows to events: planned and written like a push, a batch of each store in one transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError, transaction

from deliveries.ingest.plan import Plan, PublishedEvent, plan_events
from deliveries.ingest.service import TRIES, TooMuchContention
from deliveries.ingest.write import write_plan
from deliveries.models import Event, OperationalEvent
from deliveries.operational.describing import described
from deliveries.runtime.notify import wake
from deliveries.storage import backend
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.pushes import OrderKey, PlanIsStale
from subscriptions.routing import config_of

logger = logging.getLogger("hookdesk.operational")

#: Rows of one run; the next one continues.
BATCH = 500


def publish_noted(now: datetime) -> int:
    """Publish what was noted; returns how many events. For each heartbeat: nearly always one query that finds nothing.

    May run in several engines at once. A row of which no event can be made is dropped, with a line in the log.
    """
    waiting: dict[uuid.UUID, list[int]] = {}
    for pk, store_id in OperationalEvent.objects.order_by("id").values_list("id", "store_id")[:BATCH]:
        waiting.setdefault(store_id, []).append(pk)
    count = 0
    for store_id, ids in waiting.items():
        try:
            count += _publish(store_id, ids, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            count += _publish_singly(store_id, ids, now)
    if count:
        wake()
    return count


def _publish_singly(store_id: uuid.UUID, ids: Sequence[int], now: datetime) -> int:
    """Those that can be, when all together cannot."""
    count = 0
    for pk in ids:
        try:
            count += _publish(store_id, [pk], now)
        except (OperationalError, InterfaceError):
            raise
        except TooMuchContention:
            logger.warning("operational event %s waits: the configuration is changing too quickly", pk)
        except Exception:
            logger.exception("operational event %s cannot be published and is dropped", pk)
            OperationalEvent.objects.filter(pk=pk).delete()
    return count


def _publish(store_id: uuid.UUID, ids: Sequence[int], now: datetime) -> int:
    held: set[OrderKey] = set()
    for attempt in range(TRIES):
        plan: Plan | None = None
        try:
            with transaction.atomic():
                rows = list(_mine(ids))
                if attempt:
                    # The configuration stays as it is, and what is ordered is locked before it is written.
                    backend().hold_configuration(store_id)
                    lock_order_keys(held)
                events = described(rows)
                plan = _planned(store_id, events, now)
                if attempt and not plan.order_keys <= held:
                    raise PlanIsStale
                if not plan.is_empty:
                    write_plan(plan)
                OperationalEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
        except PlanIsStale:
            held |= plan.order_keys if plan is not None else set()
            continue
        return len(events)
    raise TooMuchContention


def _mine(ids: Sequence[int]) -> Sequence[OperationalEvent]:
    """Those that no other engine is publishing."""
    found = OperationalEvent.objects.filter(pk__in=ids).order_by("id")
    return list(found.select_for_update(skip_locked=True))


def _planned(store_id: uuid.UUID, events: Sequence[PublishedEvent], now: datetime) -> Plan:
    return plan_events(config=config_of(store_id), events=events, now=now, origin=Event.Origin.HOOKDESK)
