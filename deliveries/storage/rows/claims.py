"""Rows that a claim reads."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from integrations.foundation.identifiers import uuid7

if TYPE_CHECKING:
    from integrations.models import Integration

#: Seconds added to an integration's timeout for the lease: a worker that dies while sending delays the delivery by at
#: most timeout + 60 s.
LEASE_GRACE = 30.0


@dataclass(slots=True)
class ClaimedDelivery:
    """A leased delivery, with everything needed to build its request.

    The SQL refers to `deliveries_delivery d` after the claim, its `deliveries_event e` and its
    `integrations_integration i`. `lease_ended_at` and `interrupted_trigger` are the row's values before the claim.
    """

    id: Annotated[uuid.UUID, "d.id"]
    store_id: Annotated[uuid.UUID, "d.store_id"]
    integration_id: Annotated[int, "d.integration_id"]
    subscription_id: Annotated[uuid.UUID | None, "d.subscription_id"]
    attempt_number: Annotated[int, "d.attempt_count"]
    retry_count: Annotated[int, "d.retry_count"]
    crash_count: Annotated[int, "d.crash_count"]
    revision: Annotated[int, "d.revision"]
    order_key: Annotated[str | None, "d.order_key"]
    failure_group_id: Annotated[int | None, "d.failure_group_id"]
    first_sent_at: Annotated[datetime, "d.first_sent_at"]
    event_topic: Annotated[str | None, "e.topic"]
    event_intent: Annotated[str | None, "e.intent"]
    object_type: Annotated[str, "e.object_type"]
    object_id: Annotated[str, "e.object_id"]
    data_json: Annotated[str, "e.data"]
    origin: Annotated[str, "e.origin"]
    occurred_at: Annotated[datetime, "e.occurred_at"]
    trigger: Annotated[str, 'd."trigger"']
    #: The event's hops, and how many deliveries the response may cause.
    hops: Annotated[int, "e.hops"] = 0
    cascade_left: Annotated[int | None, "e.cascade_left"] = None
    #: The trace context of the event, and so of each of its attempts.
    traceparent: Annotated[str | None, "e.traceparent"] = None
    #: If the previous attempt's worker died before recording it: when its lease expired, and its trigger.
    lease_ended_at: Annotated[datetime | None, "CASE WHEN d.status = 'sending' THEN d.due_at END"] = None
    interrupted_trigger: Annotated[str, 'd."trigger"'] = "scheduled"
    #: The integration's timeout in seconds.
    timeout: Annotated[float, "i.timeout"] = 0.0
    lease: uuid.UUID = field(kw_only=True)
    attempt_id: uuid.UUID = field(default_factory=uuid7, kw_only=True)

    @property
    def is_test(self) -> bool:
        return self.trigger == "test"

    @property
    def was_sending(self) -> bool:
        return self.lease_ended_at is not None

    @classmethod
    def sample(cls, integration: Integration, now: datetime, **values: Any) -> ClaimedDelivery:
        """Return a first attempt that was not queued, for pings and previews; `values` override defaults."""
        first = {
            "id": uuid7(),
            "lease": uuid7(),
            "store_id": integration.store_id,
            "integration_id": integration.id,
            "subscription_id": None,
            "attempt_number": 1,
            "retry_count": 0,
            "crash_count": 0,
            "revision": 0,
            "trigger": "scheduled",
            "order_key": None,
            "failure_group_id": None,
            "first_sent_at": now,
            "event_topic": None,
            "event_intent": None,
            "object_type": "",
            "object_id": "",
            "data_json": "{}",
            "origin": "push",
            "occurred_at": now,
            "attempt_id": uuid7(),
        }
        return cls(**{**first, **values})


IN_FLIGHT = (
    "SELECT count(*) FROM deliveries_delivery d"
    " WHERE d.integration_id = i.id AND d.status = 'sending' AND d.due_at > %s"
)
#: The first attempt of a delivery that was written with a lease: only these are sent at the time of their creation.
BORN_CLAIMED = "d.attempt_count = 1 AND d.first_sent_at = d.created_at"


@dataclass(slots=True)
class IntegrationQueue:
    """An integration that has queued deliveries, as the claim sees it. The SQL refers to `QUEUED_INTEGRATIONS`.

    `reserved`: capacity that engines reserve for born-claimed deliveries; `born_in_flight`: how many of these are in
    flight.
    """

    integration_id: Annotated[int, "i.id"]
    next_due: Annotated[
        datetime,
        "(SELECT min(d.due_at) FROM deliveries_delivery d WHERE d.integration_id = i.id AND d.due_at IS NOT NULL)",
    ]
    in_flight: Annotated[int, f"({IN_FLIGHT})"]
    max_in_flight: Annotated[int, "i.max_in_flight"]
    rate_limit: Annotated[float | None, "i.rate_limit"]
    breaker: Annotated[str, "coalesce(h.breaker, 'closed')"]
    probe_at: Annotated[datetime | None, "h.probe_at"]
    throttled_until: Annotated[datetime | None, "h.throttled_until"]
    rate_tokens: Annotated[float, "coalesce(h.rate_tokens, 0)"]
    rate_refilled_at: Annotated[datetime | None, "h.rate_refilled_at"]
    is_failing: Annotated[bool, "h.first_failure_at IS NOT NULL"] = False
    #: Its last recorded attempt succeeded: an engine that starts can treat it as proven.
    answered_last: Annotated[
        bool,
        "h.last_success_at IS NOT NULL AND h.consecutive_failures = 0"
        " AND (h.last_failure_at IS NULL OR h.last_failure_at < h.last_success_at)",
    ] = False
    born_in_flight: Annotated[int, f"({IN_FLIGHT} AND {BORN_CLAIMED})"] = 0
    reserved: Annotated[
        int,
        "(SELECT coalesce(sum(r.room), 0) FROM deliveries_reservation r"
        " WHERE r.integration_id = i.id AND r.until > %s)",
    ] = 0

    @property
    def taken(self) -> int:
        """How much of `max_in_flight` is in flight or reserved."""
        return self.in_flight - self.born_in_flight + max(self.born_in_flight, self.reserved)


# A "loose index scan": one index probe per integration with queued deliveries, however long its queue is.
QUEUED = """
WITH RECURSIVE queued(id) AS (
  SELECT (SELECT min(integration_id) FROM deliveries_delivery WHERE due_at IS NOT NULL)
  UNION ALL
  SELECT (SELECT min(d.integration_id) FROM deliveries_delivery d
          WHERE d.due_at IS NOT NULL AND d.integration_id > queued.id)
  FROM queued WHERE queued.id IS NOT NULL
)
"""
QUEUED_INTEGRATIONS = (
    QUEUED
    + """
SELECT {columns}
FROM queued JOIN integrations_integration i ON i.id = queued.id
LEFT JOIN integrations_integrationhealth h ON h.integration_id = i.id
WHERE i.is_enabled AND i.deleted_at IS NULL
"""
)


class Leased(NamedTuple):
    """The result of a claim. `config_version`: the configuration version at that time; None if there are no rows.

    `unreadable`: primary keys, in the database's form, of rows with invalid values (SQLite stores any text in any
    column). They are leased; the caller must fail them.
    """

    rows: list[ClaimedDelivery]
    config_version: int | None
    unreadable: list[Any]
