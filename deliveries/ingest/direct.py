"""The fast path of pushes: planned from cached configuration, without the database, and written by a `GroupCommit`.

Most pushes take it. Every other push, and every invalid one, falls back to the slow path, `ingest.service`, which also
tells the caller what is wrong.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from deliveries.ingest.group_commit import GroupedPush
from deliveries.ingest.parsing import Invalid, read_events, read_objects
from deliveries.ingest.plan import Plan, TooMuchWork, plan_events, plan_push
from deliveries.ingest.responses import of_events, of_objects
from deliveries.runtime.handover_client import Born
from deliveries.storage.rows.pushes import ExistingRecords, IdempotencyRecord, RecordsExist, WaitingPush
from integrations.foundation import tracing
from integrations.foundation.strict_json import DocumentError, parse_document
from integrations.security.tokens import Principal
from subscriptions.routing import SchemaViolation, StoreConfig, cached_config

#: Largest body in bytes. Planning a larger one would block all other requests of the event loop.
MAX_BYTES = 64 * 1024
#: Most evaluation steps of filters and schemas, a few microseconds each, for the same reason.
MAX_STEPS = 5_000
#: How often a push is planned: again each time its records turn out to exist or to have changed.
TRIES = 3

_FALLBACK_ERRORS = (DocumentError, Invalid, SchemaViolation, TooMuchWork)


@dataclass(slots=True, eq=False)
class DirectPush(GroupedPush):
    """A planned push.

    `response`: for the caller, once the push is stored. `born`: its born-claimed deliveries. `span`: ends when the
    caller has been answered.
    """

    response: Any = None
    born: Born | None = None
    config: StoreConfig = field(kw_only=True)
    document: Any = field(kw_only=True)
    is_objects: bool = field(kw_only=True)
    span: tracing.Span = field(kw_only=True)
    known: ExistingRecords = field(default_factory=dict, kw_only=True)
    tries: int = field(default=1, kw_only=True)

    def end_span(self, status: int) -> None:
        """End the span: the caller was answered with this status."""
        self.span.end(status, **{"hookdesk.store": str(self.waiting.rows.store_id)})

    def replan(self, exist: RecordsExist) -> bool:
        """Plan again with these existing records. False: fall back to the slow path."""
        self.tries += 1
        self.known = {**self.known, **exist.known}
        if self.tries > TRIES:
            return False
        try:
            plan = _plan(self.config, self.document, self.known, is_objects=True, now=timezone.now())
        except _FALLBACK_ERRORS:
            return False
        plan.trace(self.span.traceparent)
        self.waiting = WaitingPush(plan, self.waiting.idempotency)
        return _can_be_grouped(plan)


def direct_push(
    *, principal: Principal, raw: bytes, is_objects: bool, key: str | None, traceparent: str | None = None
) -> DirectPush | None:
    """Plan a push; None: use the slow path.

    `is_objects`: the body is the push API's, not the event API's. `traceparent`: the request's header.
    """
    span = tracing.begin("push", traceparent)
    config = cached_config(principal.store_id, principal.config_version)
    if config is None or len(raw) > MAX_BYTES:
        return None
    try:
        document = parse_document(raw)
        plan = _plan(config, document, {}, is_objects=is_objects, now=timezone.now())
    except _FALLBACK_ERRORS:
        return None
    if not _can_be_grouped(plan):
        return None
    plan.trace(span.traceparent)
    response = of_objects(document) if is_objects else of_events(document, plan)
    idempotency = None if key is None else IdempotencyRecord(key, hashlib.sha256(raw).hexdigest(), response)
    return DirectPush(
        WaitingPush(plan, idempotency),
        response=response,
        config=config,
        document=document,
        is_objects=is_objects,
        span=span,
    )


def _plan(config: StoreConfig, document: Any, known: ExistingRecords, *, is_objects: bool, now: datetime) -> Plan:
    if is_objects:
        objects = read_objects(document, config.singular_overrides)
        plan = plan_push(config=config, objects=objects, known=known, now=now, steps=MAX_STEPS)
    else:
        plan = plan_events(config=config, events=read_events(document, now), now=now, steps=MAX_STEPS)
    for row in plan.deliveries:
        row.due_at = now
    return plan


def _can_be_grouped(plan: Plan) -> bool:
    """Whether no delivery is ordered: only the database knows whether an earlier one must be sent first."""
    return all(row.order_key is None for row in plan.deliveries)
