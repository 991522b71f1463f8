"""Values passed between the engine's steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from deliveries.storage.rows.claims import LEASE_GRACE, ClaimedDelivery, IntegrationQueue
from integrations.foundation import tracing
from integrations.foundation.identifiers import public_id
from integrations.transport.base import Request, Response, TransportError
from integrations.wire_formats.base import Message, Outcome

if TYPE_CHECKING:
    from deliveries.dispatch.config_cache import DestinationConfig

__all__ = [
    "LEASE_GRACE",
    "AttemptResult",
    "ClaimedDelivery",
    "Dispatch",
    "IntegrationQueue",
    "Transition",
]


@dataclass(slots=True)
class Dispatch:
    """A delivery in flight: claimed and built."""

    claimed: ClaimedDelivery
    message: Message | None
    request: Request | None
    started_at: datetime
    destination: DestinationConfig | None = None
    span: tracing.Span | None = None

    def begin_span(self) -> None:
        """Begin this attempt's span, which replaces the push as the parent of its request."""
        self.span = tracing.begin("deliver", self.claimed.traceparent)
        self.claimed.traceparent = self.span.traceparent

    def end_span(self, response: Response | None, outcome: Outcome) -> None:
        """End the span, if one was begun, with the result."""
        if self.span is None:
            return
        attributes: dict[str, tracing.Attribute] = {
            "hookdesk.store": str(self.claimed.store_id),
            "hookdesk.delivery": public_id("dlv", self.claimed.id),
            "hookdesk.integration": "" if self.destination is None else self.destination.slug,
            "hookdesk.attempt": self.claimed.attempt_number,
        }
        error = "" if outcome.is_success else outcome.kind or "error"
        self.span.end(None if response is None else response.status, error, **attributes)


@dataclass(slots=True)
class AttemptResult:
    """The result of a dispatch: a response, a transport error, or an outcome without a request."""

    claimed: ClaimedDelivery
    request: Request | None
    response: Response | None
    error: TransportError | None
    duration: float
    outcome: Outcome
    started_at: datetime

    @property
    def is_receiver_failure(self) -> bool:
        """Whether the receiver is failing or asks for a pause. A refused payload is not the receiver's failure."""
        return not self.outcome.is_success and not self.outcome.is_permanent

    @classmethod
    def unsent(cls, dispatch: Dispatch, outcome: Outcome) -> AttemptResult:
        """A result without a response: nothing was sent, or the response does not count."""
        return cls(dispatch.claimed, dispatch.request, None, None, 0.0, outcome, dispatch.started_at)


@dataclass(slots=True)
class Transition(AttemptResult):
    """A result with the new state of its delivery."""

    status: str
    due_at: datetime | None
    retry_count: int
    last_error: str
    group_id: int | None = None
    is_late: bool = False

    @classmethod
    def after(
        cls, result: AttemptResult, status: str, due_at: datetime | None, retry_count: int, last_error: str
    ) -> Transition:
        return cls(
            result.claimed,
            result.request,
            result.response,
            result.error,
            result.duration,
            result.outcome,
            result.started_at,
            status,
            due_at,
            retry_count,
            last_error,
        )
