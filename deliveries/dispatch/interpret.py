"""Turn a transport's result into an outcome."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from django.conf import settings

from deliveries.dispatch.build import internal
from deliveries.dispatch.config_cache import DestinationConfig
from deliveries.dispatch.types import AttemptResult, Dispatch
from integrations.transport import Response, current_policy, send
from integrations.transport.base import TransportError
from integrations.wire_formats.base import Outcome
from integrations.wire_formats.responses import one_line

logger = logging.getLogger("hookdesk.engine")


def interpret(
    dispatch: Dispatch,
    destination: DestinationConfig,
    response: Response | None,
    error: TransportError | None,
    duration: float,
) -> AttemptResult:
    """Return the result of a dispatch. If the wire format cannot read an odd response, only this delivery fails."""
    result = _interpreted(dispatch, destination, response, error, duration)
    dispatch.end_span(response, result.outcome)
    return result


def _interpreted(
    dispatch: Dispatch,
    destination: DestinationConfig,
    response: Response | None,
    error: TransportError | None,
    duration: float,
) -> AttemptResult:
    if response is None:
        error = error or TransportError(TransportError.PROTOCOL, "The transport returned no response.")
        outcome = Outcome(is_success=False, kind=error.kind, message=error.message, is_permanent=error.permanent)
        return AttemptResult(dispatch.claimed, dispatch.request, None, error, duration, outcome, dispatch.started_at)
    try:
        assert dispatch.message is not None
        outcome = within_limit(destination.wire_format.read(dispatch.message, response))
    except Exception as fault:
        logger.exception("could not read the response to %s", dispatch.claimed.id)
        outcome = internal("read the answer", fault)
    return AttemptResult(dispatch.claimed, dispatch.request, response, None, duration, outcome, dispatch.started_at)


def within_limit(outcome: Outcome) -> Outcome:
    """Keep whole arrays of pushed-back objects, up to ANSWER_MAX_OBJECTS objects; the summary names the rest."""
    limit = settings.ANSWER_MAX_OBJECTS
    if not outcome.pushed or sum(map(len, outcome.pushed.values())) <= limit:
        return outcome
    taken: dict[str, list[dict[str, Any]]] = {}
    left_out: list[str] = []
    room = limit
    for plural, items in outcome.pushed.items():
        if len(items) <= room:
            taken[plural] = items
            room -= len(items)
        else:
            left_out.append(f"{plural} ({len(items):,})")
    more = ", …" if len(left_out) > 3 else ""
    note = f"Ignored from the response: {', '.join(left_out[:3])}{more}. A response may contain {limit:,} objects."
    return replace(outcome, pushed=taken or None, summary=one_line(f"{note} {outcome.summary or ''}"))


def send_one(dispatch: Dispatch, destination: DestinationConfig) -> AttemptResult:
    """Send and wait for the response, for pings on demand."""
    assert dispatch.request is not None
    started = time.monotonic()
    try:
        response = send(dispatch.request, current_policy())
    except TransportError as error:
        return interpret(dispatch, destination, None, error, time.monotonic() - started)
    return interpret(dispatch, destination, response, None, time.monotonic() - started)
