"""Attempt rows. Each is written once, with its result, when the attempt has ended.

A running attempt has no row; the delivery's row describes it: its lease, its number (`attempt_count`) and what started
it (`trigger`). If the worker dies, the engine that claims the delivery next writes the attempt's row with the outcome
`unknown` and without the request, which only the dead worker knew. If that worker turns out to be alive and records
its result after all, the result replaces this row.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F

from deliveries.dispatch.types import LEASE_GRACE, ClaimedDelivery, Dispatch, Transition
from deliveries.models import Attempt, Delivery
from deliveries.storage import backend
from deliveries.storage.rows.results import EndedAttempt
from integrations.foundation.identifiers import uuid7
from integrations.security.encryption import encrypt_bytes
from integrations.security.redaction import masked_headers, redact_bytes, redact_text, stored_headers
from integrations.transport.base import Request

logger = logging.getLogger("hookdesk.engine")

STOPPED = "Hookdesk was stopped while sending this. It is unknown whether the receiver got it; it will be retried."
INTERRUPTED = (
    "The worker died while sending this. It is unknown whether the receiver got it; it will be retried. The request "
    "was not kept."
)


def ended_attempt(transition: Transition) -> EndedAttempt:
    """Return the row of an ended attempt, with its result."""
    outcome, response, request = transition.outcome, transition.response, transition.request
    secrets = request.secrets if request is not None else ()
    row = _request_row(transition.claimed, request, transition.started_at)._replace(
        outcome="succeeded" if outcome.is_success else "failed",
        duration_ms=round(transition.duration * 1000),
        error_kind=outcome.kind,
        error_message=redact_text(outcome.message, secrets) if outcome.message else "",
        summary=redact_text(outcome.summary, secrets) if outcome.summary else "",
    )
    if response is None:
        return row
    return row._replace(
        response_status=response.status,
        response_headers=stored_headers(response.headers, secrets),
        response_body=redact_bytes(response.body, secrets),
        is_response_truncated=response.is_truncated,
    )


def _request_row(claimed: ClaimedDelivery, request: Request | None, started_at: datetime) -> EndedAttempt:
    row = EndedAttempt(
        claimed.attempt_id,
        claimed.id,
        claimed.attempt_number,
        claimed.trigger,
        claimed.revision,
        started_at,
        Attempt.Outcome.UNKNOWN,
    )
    if request is None:
        return row
    body, is_encrypted = stored_body(request)
    return row._replace(
        method=request.method,
        url=redact_text(request.url, request.secrets),
        request_headers=json.dumps(masked_headers(request.headers, request.secrets)),
        request_body=body,
        is_body_encrypted=is_encrypted,
    )


def stored_body(request: Request) -> tuple[bytes, bool]:
    """Return the exact bytes, encrypted if they contain a credential (`hub` puts parameters into the body)."""
    if request.secrets and redact_bytes(request.body, request.secrets) != request.body:
        return encrypt_bytes(request.body), True
    return request.body, False


# --- attempts with an unknown outcome ------------------------------------------------------------------------------


def began_at(lease_ends_at: datetime, timeout: float, first_sent_at: datetime | None) -> datetime:
    """Estimate when the attempt with this lease began, from its delivery's row."""
    moment = lease_ends_at - timedelta(seconds=timeout + LEASE_GRACE)
    return moment if first_sent_at is None else max(moment, first_sent_at)


def write_interrupted(claims: Iterable[ClaimedDelivery]) -> None:
    """Write the previous attempts of these claims if their worker died before recording them.

    Call inside the claim's transaction.
    """
    rows = [
        interrupted(
            claimed.id,
            claimed.attempt_number - 1,
            claimed.interrupted_trigger,
            claimed.revision,
            began_at(claimed.lease_ended_at, claimed.timeout, claimed.first_sent_at),
        )
        for claimed in claims
        if claimed.lease_ended_at is not None
    ]
    if not rows:
        return
    try:
        with transaction.atomic():
            backend().interrupt_attempts(rows)
    except (OperationalError, InterfaceError):
        raise
    except Exception:  # continue: otherwise no engine could claim these deliveries again
        logger.exception("could not store the interrupted attempts of %s deliveries", len(rows))


def interrupted(delivery_id: uuid.UUID, number: int, trigger: str, revision: int, started_at: datetime) -> EndedAttempt:
    return EndedAttempt(
        uuid7(),
        delivery_id,
        number,
        trigger,
        revision,
        started_at,
        Attempt.Outcome.UNKNOWN,
        error_kind="interrupted",
        error_message=INTERRUPTED,
    )


def release_unsent(claims: Sequence[ClaimedDelivery], now: datetime) -> None:
    """Undo claims that were not sent: due again immediately, and the attempt does not count."""
    for claimed in claims:
        Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status="sending").update(
            status="retrying", due_at=now, lease=None, attempt_count=F("attempt_count") - 1
        )


def abandon_in_flight(dispatches: Sequence[Dispatch], now: datetime) -> None:
    """Record requests that we cannot wait for as unknown: due again immediately, without counting a crash."""
    for dispatch in dispatches:
        claimed = dispatch.claimed
        row = _request_row(claimed, dispatch.request, dispatch.started_at)
        with transaction.atomic():
            Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status="sending").update(
                status="retrying", due_at=now, lease=None, trigger="test" if claimed.is_test else "scheduled"
            )
            backend().write_attempts([row._replace(error_kind="interrupted", error_message=STOPPED)])
