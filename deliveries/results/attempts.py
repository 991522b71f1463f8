"""Attempt rows: written before the first byte leaves, finished after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from deliveries.dispatch.types import ClaimedDelivery, Dispatch, Transition
from deliveries.models import Attempt, Delivery
from deliveries.storage import backend
from deliveries.storage.rows.results import FinishedAttempt, OpenedAttempt
from integrations.security.encryption import encrypt_bytes
from integrations.security.redaction import masked_headers, redact_bytes, redact_text, stored_headers
from integrations.transport.base import Request

STOPPED = "Hookdesk was stopped while sending this. It is unknown whether the receiver got it; it will be retried."
UNSENT = "Not sent: the lease was lost (database outage or suspended worker). Will be retried."
INTERRUPTED = "The worker died while sending this. It is unknown whether the receiver got it; it will be retried."


def open_attempts(dispatches: Sequence[Dispatch]) -> None:
    """One INSERT for all of them: all or none."""
    backend().open_attempts([_opening(dispatch) for dispatch in dispatches])


def _opening(dispatch: Dispatch) -> OpenedAttempt:
    claimed, request = dispatch.claimed, dispatch.request
    head = (
        claimed.attempt_id,
        claimed.id,
        claimed.attempt_number,
        claimed.trigger,
        claimed.revision,
        dispatch.started_at,
    )
    if request is None:
        return OpenedAttempt(*head)
    body, is_encrypted = stored_body(request)
    headers = json.dumps(masked_headers(request.headers, request.secrets))
    url = redact_text(request.url, request.secrets)
    return OpenedAttempt(*head, request.method, url, headers, body, is_encrypted)


def stored_body(request: Request) -> tuple[bytes, bool]:
    """The exact bytes; encrypted where they hold a credential (`hub` puts parameters into the body)."""
    if request.secrets and redact_bytes(request.body, request.secrets) != request.body:
        return encrypt_bytes(request.body), True
    return request.body, False


def mark_interrupted(claims: Sequence[ClaimedDelivery]) -> None:
    """End the attempts of deliveries whose lease has expired."""
    for claimed in claims:
        Attempt.objects.filter(delivery_id=claimed.id, number__lt=claimed.attempt_number, outcome="running").update(
            outcome="unknown", error_kind="interrupted", error_message=INTERRUPTED
        )


def give_back(claims: Sequence[ClaimedDelivery], now: datetime, why: str) -> None:
    """Make claimed deliveries due again immediately, without counting a crash."""
    for claimed in claims:
        with transaction.atomic():
            Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status="sending").update(
                status="retrying", due_at=now, lease=None
            )
            Attempt.objects.filter(id=claimed.attempt_id, outcome="running").update(
                outcome="unknown", error_kind="interrupted", error_message=why
            )


def finish_attempts(transitions: Sequence[Transition]) -> None:
    """What has ended stays as it is: a batch whose commit was never confirmed is recorded again."""
    backend().finish_attempts([_finish(transition) for transition in transitions])


def _finish(transition: Transition) -> FinishedAttempt:
    outcome, response, request = transition.outcome, transition.response, transition.request
    secrets = request.secrets if request is not None else ()
    name = "late" if transition.is_late else "succeeded" if outcome.is_success else "failed"
    kind, message = outcome.kind, redact_text(outcome.message, secrets) if outcome.message else ""
    key = transition.claimed.attempt_id
    duration = round(transition.duration * 1000)
    summary = redact_text(outcome.summary, secrets) if outcome.summary else ""
    if response is None:
        return FinishedAttempt(name, duration, None, None, None, False, kind, message, summary, key)
    headers = stored_headers(response.headers, secrets)
    body = redact_bytes(response.body, secrets)
    return FinishedAttempt(
        name, duration, response.status, headers, body, response.is_truncated, kind, message, summary, key
    )
