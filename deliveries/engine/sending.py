"""From what a transport gave back to what it means."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

from django.conf import settings

from deliveries.engine.build import internal
from deliveries.engine.directory import Destination
from deliveries.engine.rows import Flight, Landing
from integrations.transport import Response, current_policy, send
from integrations.transport.base import TransportError
from integrations.wire_formats.answers import one_line
from integrations.wire_formats.base import Outcome

logger = logging.getLogger("hookdesk.engine")


def landed(
    flight: Flight, destination: Destination, response: Response | None, error: TransportError | None, duration: float
) -> Landing:
    """The end of a flight. A format that trips over an odd answer makes this delivery fail, nothing else."""
    if response is None:
        error = error or TransportError(TransportError.PROTOCOL, "The transport gave no answer.")
        outcome = Outcome(is_success=False, kind=error.kind, message=error.message, is_permanent=error.permanent)
        return Landing(flight, None, error, duration, outcome)
    try:
        assert flight.message is not None
        outcome = within_limit(destination.speaker.read(flight.message, response))
    except Exception as fault:
        logger.exception("the answer to %s could not be read", flight.claimed.id)
        outcome = internal("read the answer", fault)
    return Landing(flight, response, None, duration, outcome)


def within_limit(outcome: Outcome) -> Outcome:
    """Arrays are taken while they fit into ANSWER_MAX_OBJECTS, and as a whole; what is left out, the summary says."""
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
    note = f"Not taken from the answer: {', '.join(left_out[:3])}{more}. One answer may bring {limit:,} objects."
    return replace(outcome, pushed=taken or None, summary=one_line(f"{note} {outcome.summary or ''}"))


def send_one(flight: Flight, destination: Destination) -> Landing:
    """Send and wait: for pings on demand."""
    assert flight.request is not None
    started = time.monotonic()
    try:
        response = send(flight.request, current_policy())
    except TransportError as error:
        return landed(flight, destination, None, error, time.monotonic() - started)
    return landed(flight, destination, response, None, time.monotonic() - started)
