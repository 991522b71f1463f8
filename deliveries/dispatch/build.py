"""Build the outgoing request of a claimed delivery."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils.dateparse import parse_datetime

from deliveries.dispatch.config_cache import ConfigCache, DestinationConfig, SubscriptionConfig
from deliveries.dispatch.types import ClaimedDelivery
from integrations.foundation import trace_context
from integrations.foundation.strict_json import DocumentError, dump_document
from integrations.security.encryption import DecryptionError
from integrations.transport.base import Request
from integrations.wire_formats.base import Message, Outcome, PayloadError, PollWindow, Skip
from subscriptions.expressions.evaluation import ExpressionError, passes, transform

logger = logging.getLogger("hookdesk.engine")


def prepare(
    claimed: ClaimedDelivery, directory: ConfigCache, now: datetime
) -> tuple[Message | None, Request | Outcome]:
    """Return the message and its request, or the outcome if the delivery is not sent.

    Any error here, whatever the rows contain, fails this delivery only. The only exceptions raised are those that mean
    the database is unavailable.
    """
    try:
        destination = directory.destination(claimed.integration_id)
        if destination.problem:
            return None, Outcome(is_success=False, kind="configuration", message=destination.problem)
        message = build_message(claimed, destination, directory.subscription_config(claimed), now)
        return message, build_request(message, destination)
    except PayloadError as error:
        return None, payload_refused(error)
    except DecryptionError as error:
        logger.exception("could not build the request of %s", claimed.id)
        return None, _internal(f"The subscription's settings cannot be used: {error}")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("could not build the request of %s", claimed.id)
        return None, internal("build this request", error)


def internal(what: str, error: Exception) -> Outcome:
    """The outcome of an internal error on one delivery. Shows only the error's type: its text may contain secrets."""
    return _internal(f"Hookdesk failed to {what} ({type(error).__name__}). The worker's log has the traceback.")


def _internal(message: str) -> Outcome:
    return Outcome(is_success=False, kind="internal", message=message, is_permanent=True)


def build_message(
    claimed: ClaimedDelivery, destination: DestinationConfig, subscription_config: SubscriptionConfig, now: datetime
) -> Message:
    """Build the wire format's input. Raises PayloadError if filter or transform cannot be evaluated on this data."""
    return Message(
        endpoint=destination.endpoint,
        request_id=claimed.id.hex,
        topic=claimed.event_topic,
        intent=claimed.event_intent,
        object_type=claimed.object_type,
        data_json=claimed.data_json,
        occurred_at=claimed.occurred_at,
        attempt_number=claimed.attempt_number,
        first_sent_at=claimed.first_sent_at,
        now=now,
        transformed_json=None if claimed.is_test else _transformed(claimed, subscription_config),
        path=subscription_config.path,
        parameters=subscription_config.parameters,
        hops=claimed.hops,
        is_ping=claimed.origin == "test",
        poll=_poll_window(claimed) if claimed.origin == "poll" else None,
        traceparent=claimed.traceparent,
    )


def _transformed(claimed: ClaimedDelivery, subscription_config: SubscriptionConfig) -> str | None:
    if (not subscription_config.transform and not subscription_config.filter) or claimed.origin == "poll":
        return None
    data: Any = json.loads(claimed.data_json)
    context = {"topic": claimed.event_topic, "intent": claimed.event_intent}
    step = "filter"
    try:
        if subscription_config.filter:
            # Ingest has already applied the filter. Evaluate it again only to report an error on this data.
            passes(subscription_config.filter, data, context)
        if not subscription_config.transform:
            return None
        step = "transform"
        return dump_document(transform(subscription_config.transform, data, context))
    except (ExpressionError, DocumentError) as error:
        raise PayloadError(step, f"The subscription's {step} failed on this payload: {error}") from None


def _poll_window(claimed: ClaimedDelivery) -> PollWindow:
    since = json.loads(claimed.data_json).get("since")
    return PollWindow(parse_datetime(since).astimezone(UTC) if since else None)  # type: ignore[union-attr]


def build_request(message: Message, destination: DestinationConfig) -> Request | Outcome:
    """Return the request, or the outcome if there is none: skipped, or not expressible in the format.

    Also raises whatever a buggy format raises; `prepare` handles that.
    """
    try:
        return _traced(destination.wire_format.build(message), message.traceparent)
    except Skip as skip:
        return Outcome(is_success=True, summary=skip.summary)
    except PayloadError as error:
        return payload_refused(error)


def _traced(request: Request, traceparent: str | None) -> Request:
    """Add the `traceparent` header, in any format. An integration's own header of that name takes precedence."""
    if traceparent is None or request.url.startswith("mailto:"):
        return request
    if any(name.lower() == trace_context.HEADER for name, _ in request.headers):
        return request
    return replace(request, headers=(*request.headers, (trace_context.HEADER, traceparent)))


def payload_refused(error: PayloadError) -> Outcome:
    return Outcome(is_success=False, kind=error.kind, message=error.message, is_permanent=True)
