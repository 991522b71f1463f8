"""Attempt rows: written before the first byte leaves, finished after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from deliveries.dispatch.types import ClaimedDelivery, Dispatch, Transition
from deliveries.models import Attempt, Delivery
from deliveries.storage.arrays import BYTES, FLAG, KEY, NUMBER, TEXT, TIME, as_arrays, as_cells
from deliveries.storage.sql import execute_prepared
from integrations.security.encryption import encrypt_bytes
from integrations.security.redaction import masked_headers, redact_bytes, redact_text, stored_headers
from integrations.transport.base import Request

STOPPED = "Hookdesk was stopped while this was being sent. Whether the receiver got it is unknown; it is sent again."
UNSENT = "The database went away, or the worker stood still, before this could be sent. It is sent again."
INTERRUPTED = "The worker died while this was being sent. Whether the receiver got it is unknown; it is sent again."


def open_attempts(dispatches: Sequence[Dispatch]) -> None:
    """One INSERT for all of them: all or none."""
    rows = [_opening(dispatch) for dispatch in dispatches]
    if not rows:
        return
    if connection.vendor == "postgresql":
        execute_prepared(_OPEN_POSTGRESQL, as_arrays(_OPENING_KINDS, rows))
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(_OPEN_PORTABLE, as_cells(_OPENING_KINDS, rows))


_OPENING = (
    'id, delivery_id, number, "trigger", revision, started_at, method, url, request_headers, request_body,'
    " is_body_encrypted"
)
_OPENING_KINDS = (KEY, KEY, NUMBER, TEXT, NUMBER, TIME, TEXT, TEXT, TEXT, BYTES, FLAG)
_REST = "outcome, is_response_truncated, error_kind, error_message, summary"
_OPEN_POSTGRESQL = (
    f"INSERT INTO deliveries_attempt ({_OPENING}, {_REST})"
    " SELECT r.*, 'running', false, '', '', '' FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::int[],"
    " %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::bool[]) AS r"
)
_OPEN_PORTABLE = (
    f"INSERT INTO deliveries_attempt ({_OPENING}, {_REST})"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'running', false, '', '', '')"
)


def _opening(dispatch: Dispatch) -> tuple[Any, ...]:
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
        return (*head, "", "", "[]", b"", False)
    body, is_encrypted = stored_body(request)
    headers = json.dumps(masked_headers(request.headers, request.secrets))
    return (*head, request.method, redact_text(request.url, request.secrets), headers, body, is_encrypted)


def stored_body(request: Request) -> tuple[bytes, bool]:
    """The exact bytes; encrypted where they hold a credential (`hub` puts parameters into the body)."""
    if request.secrets and redact_bytes(request.body, request.secrets) != request.body:
        return encrypt_bytes(request.body), True
    return request.body, False


def mark_interrupted(claims: Sequence[ClaimedDelivery]) -> None:
    """The attempts of deliveries whose lease ran out."""
    for claimed in claims:
        Attempt.objects.filter(delivery_id=claimed.id, number__lt=claimed.attempt_number, outcome="running").update(
            outcome="unknown", error_kind="interrupted", error_message=INTERRUPTED
        )


def give_back(claims: Sequence[ClaimedDelivery], now: datetime, why: str) -> None:
    """What is still claimed is due again at once, and that is nobody's crash."""
    for claimed in claims:
        with transaction.atomic():
            Delivery.objects.filter(id=claimed.id, lease=claimed.lease, status="sending").update(
                status="retrying", due_at=now, lease=None
            )
            Attempt.objects.filter(id=claimed.attempt_id, outcome="running").update(
                outcome="unknown", error_kind="interrupted", error_message=why
            )


_FINISH_POSTGRESQL = (
    "UPDATE deliveries_attempt a SET outcome = r.outcome, duration_ms = r.duration_ms,"
    " response_status = r.status, response_headers = r.headers, response_body = r.body,"
    " is_response_truncated = r.truncated, error_kind = r.kind, error_message = r.message, summary = r.summary"
    " FROM unnest(%s::text[], %s::int[], %s::int[], %s::text[], %s::bytea[], %s::bool[], %s::text[], %s::text[],"
    " %s::text[], %s::uuid[])"
    " AS r(outcome, duration_ms, status, headers, body, truncated, kind, message, summary, id)"
    " WHERE a.id = r.id AND a.outcome IN ('running', 'unknown')"
)
_FINISH_KINDS = (TEXT, NUMBER, NUMBER, TEXT, BYTES, FLAG, TEXT, TEXT, TEXT, KEY)
_FINISH_PORTABLE = (
    "UPDATE deliveries_attempt SET outcome = %s, duration_ms = %s, response_status = %s, response_headers = %s,"
    " response_body = %s, is_response_truncated = %s, error_kind = %s, error_message = %s, summary = %s WHERE id = %s"
    " AND outcome IN ('running', 'unknown')"
)


def finish_attempts(transitions: Sequence[Transition]) -> None:
    """One UPDATE for all of them; on SQLite one prepared statement.

    What has ended stays as it is: a batch whose commit was never confirmed is recorded again.
    """
    rows = [_finish(transition) for transition in transitions]
    if connection.vendor == "postgresql":
        execute_prepared(_FINISH_POSTGRESQL, as_arrays(_FINISH_KINDS, rows))
    else:
        with connection.cursor() as cursor:
            cursor.executemany(_FINISH_PORTABLE, as_cells(_FINISH_KINDS, rows))


def _finish(transition: Transition) -> tuple[Any, ...]:
    result = transition.result
    outcome, response, request = result.outcome, result.response, result.dispatch.request
    secrets = request.secrets if request is not None else ()
    name = "late" if transition.is_late else "succeeded" if outcome.is_success else "failed"
    kind, message = outcome.kind, redact_text(outcome.message, secrets) if outcome.message else ""
    key = result.dispatch.claimed.attempt_id
    duration = round(result.duration * 1000)
    summary = redact_text(outcome.summary, secrets) if outcome.summary else ""
    if response is None:
        return (name, duration, None, None, None, False, kind, message, summary, key)
    headers = stored_headers(response.headers, secrets)
    body = redact_bytes(response.body, secrets)
    return (name, duration, response.status, headers, body, response.is_truncated, kind, message, summary, key)
