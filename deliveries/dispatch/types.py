"""What the engine passes between its steps."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from integrations.transport.base import Request, Response, TransportError
from integrations.wire_formats.base import Message, Outcome

if TYPE_CHECKING:
    from deliveries.dispatch.config_cache import DestinationConfig

#: Added to an integration's timeout to make the lease: a worker that dies in mid-send delays the delivery by
#: no more than timeout + 60 s (docs/contract.md#wire-formats).
LEASE_GRACE = 30.0


@dataclass(slots=True)
class ClaimedDelivery:
    """A delivery under our lease, with what is needed to build its request."""

    id: uuid.UUID
    lease: uuid.UUID
    store_id: uuid.UUID
    integration_id: int
    subscription_id: uuid.UUID | None
    attempt_number: int
    retry_count: int
    crash_count: int
    revision: int
    trigger: str
    was_sending: bool
    order_key: str | None
    failure_group_id: int | None
    first_sent_at: datetime
    event_topic: str | None
    event_intent: str | None
    object_type: str
    object_id: str
    data_json: str
    origin: str
    occurred_at: datetime
    attempt_id: uuid.UUID = field(default_factory=uuid.uuid4)
    #: Of the event: how far it came, and how many deliveries the answer may bring about.
    hops: int = 0
    cascade_left: int | None = None

    @property
    def is_test(self) -> bool:
        return self.trigger == "test"


@dataclass(slots=True)
class IntegrationQueue:
    """An integration that has queued deliveries, as the claim sees it."""

    integration_id: int
    next_due: datetime
    in_flight: int
    max_in_flight: int
    rate_limit: float | None
    breaker: str
    probe_at: datetime | None
    throttled_until: datetime | None
    rate_tokens: float
    rate_refilled_at: datetime | None
    is_failing: bool = False
    #: Its last attempt that was noted succeeded: an engine that begins needs not prove it anew.
    answered_last: bool = False


@dataclass(slots=True)
class Dispatch:
    """A delivery on its way: claimed, built, and its attempt written."""

    claimed: ClaimedDelivery
    message: Message | None
    request: Request | None
    started_at: datetime
    started: float  # monotonic
    destination: DestinationConfig | None = None


@dataclass(slots=True)
class AttemptResult:
    """The end of a dispatch: an answer, an error of the transport, or an outcome that needed no request."""

    dispatch: Dispatch
    response: Response | None
    error: TransportError | None
    duration: float
    outcome: Outcome


@dataclass(slots=True)
class Transition:
    """The new state of one delivery and its attempt."""

    result: AttemptResult
    status: str
    due_at: datetime | None
    retry_count: int
    last_error: str
    group_id: int | None = None
    is_late: bool = False
