"""Write a plan, all or nothing, and only if its preconditions still hold."""

from __future__ import annotations

from django.db import transaction

from deliveries.dispatch.ordering import first_unfinished
from deliveries.ingest.plan import Plan
from deliveries.storage import backend
from deliveries.storage.locks import lock_order_keys
from deliveries.storage.rows.pushes import IdempotencyRecord, OrderKey


def write_plan(plan: Plan, idempotency: IdempotencyRecord | None = None, *, notifies: bool = False) -> None:
    """Store events, deliveries, records and the idempotency key in one transaction.

    Raises PlanIsStale, or RecordsExist for a plan that assumed new records; then nothing is stored. `notifies`: the
    commit itself wakes the engines, where the database supports it.
    """
    if keys := plan.order_keys:
        with transaction.atomic():
            lock_order_keys(keys)
            _schedule(plan)
            backend().write_push(plan, idempotency, notifies=notifies)
    else:
        _schedule(plan)
        backend().write_push(plan, idempotency, notifies=notifies)


def _schedule(plan: Plan) -> None:
    """Make deliveries due now, except ordered ones that must wait for an earlier one of the same record."""
    taken: set[OrderKey] = set()
    for row in plan.deliveries:
        if row.order_key is None:
            row.due_at = plan.now
            continue
        key = (row.subscription_id, row.order_key)
        row.due_at = None if key in taken or first_unfinished(*key) is not None else plan.now
        taken.add(key)
