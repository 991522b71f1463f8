"""The one place where what sources bring goes into ingest: planned and written like a push, in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from deliveries.ingest.loops import note_arrival
from deliveries.ingest.plan import Plan, PublishedEvent, PushedObject, PushPlanner, plan_events
from deliveries.ingest.records import known_records
from deliveries.ingest.service import TRIES, TooMuchContention
from deliveries.ingest.write import write_plan
from deliveries.models import Event
from deliveries.runtime.failpoints import failpoint
from deliveries.runtime.notify import may_notify_inline, wake
from deliveries.storage import backend
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.pushes import OrderKey, PlanIsStale
from subscriptions.routing import StoreConfig, config_of


def ingest(
    *,
    store_id: uuid.UUID,
    choose: Callable[[], Sequence[PublishedEvent] | Sequence[PushedObject]],
    hops: int,
    beside: Callable[[Plan], None],
    traceparent: str | None = None,
) -> Plan:
    """Store what `choose` returns, and what `beside` writes, all or nothing; the plan as it was stored.

    Both are called in the transaction, `choose` first and `beside` last, and again if somebody was quicker. Engines
    are woken. Raises SchemaViolation, TooMuchWork or TooMuchContention, and nothing is stored.
    """
    held: set[OrderKey] | None = None
    for _ in range(TRIES):
        plan: Plan | None = None
        try:
            with transaction.atomic():
                items = choose()
                with _holding(store_id, held):
                    plan = _planned(config_of(store_id), items, is_locked=held is not None)
                    if hops:
                        note_arrival(plan, hops)
                    plan.trace(traceparent)
                    if held is not None and not plan.order_keys <= held:
                        raise PlanIsStale
                    notifies = bool(plan.deliveries) and may_notify_inline()
                    if not plan.is_empty:
                        write_plan(plan, notifies=notifies)
                beside(plan)
        except PlanIsStale:
            # Somebody else was quicker. To avoid losing repeatedly, lock the records while planning.
            held = (plan.order_keys if plan is not None else set()).union(held or ())
            continue
        failpoint("ingest.after_commit")
        if plan.deliveries and not notifies:
            wake()
        return plan
    raise TooMuchContention


@contextmanager
def _holding(store_id: uuid.UUID, keys: set[OrderKey] | None) -> Iterator[None]:
    if keys is not None:
        backend().hold_configuration(store_id)
        lock_order_keys(keys)
    yield


def _planned(config: StoreConfig, items: Sequence[PublishedEvent] | Sequence[PushedObject], *, is_locked: bool) -> Plan:
    now = timezone.now()
    events = [item for item in items if isinstance(item, PublishedEvent)]
    if events:
        return plan_events(config=config, events=events, now=now, origin=Event.Origin.SOURCE)
    objects = [item for item in items if isinstance(item, PushedObject)]
    known = known_records(config.store_id, objects, is_locked=is_locked)
    planner = PushPlanner(config, known, now, Event.Origin.SOURCE)
    if objects:
        planner.add(objects, None)
    return planner.plan()
