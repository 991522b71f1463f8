"""Preview of a subscription on an event: whether and why it matches, and the exact request, credentials masked."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from deliveries.dispatch.build import build_message, build_request
from deliveries.dispatch.config_cache import DestinationConfig, SubscriptionConfig
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Delivery, Event
from integrations.connectors import adapter_for
from integrations.endpoint import endpoint_of, merge_parameters
from integrations.foundation.strict_json import dump_document
from integrations.models import Integration
from integrations.object_types import singular
from integrations.security.encryption import DecryptionError
from integrations.security.redaction import masked_headers, redact_bytes, redact_text
from integrations.transport import Request
from integrations.wire_formats.base import PayloadError
from subscriptions.expressions.evaluation import ExpressionError, explain
from subscriptions.matching import Interest, SubscriptionIndex
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.preview")


@dataclass(frozen=True, slots=True)
class Preview:
    """`request` is what would be sent, credentials masked; `error` is why nothing can be sent."""

    matches: bool
    why: str
    request: Request | None = None
    error: str = ""


def preview(*, subscription: Subscription, event: Event, now: datetime) -> Preview:
    """For a subscription, saved or not, on a real event of its store."""
    matches, why = explain_match(subscription, event)
    request, error = request_for(
        integration=subscription.integration,
        subscription=subscription,
        event=event,
        data_json=dump_document(event.data),
        now=now,
    )
    return Preview(matches, why, request, error)


def preview_delivery(*, delivery: Delivery, payload: object, now: datetime) -> Preview:
    """The next request of a delivery if its payload were this."""
    request, error = request_for(
        integration=delivery.integration,
        subscription=delivery.subscription,
        event=delivery.event,
        data_json=dump_document(payload),
        now=now,
        delivery=delivery,
    )
    return Preview(True, "", request, error)


def explain_match(subscription: Subscription, event: Event) -> tuple[bool, str]:
    overrides = subscription.store.singular_overrides
    interest = Interest(tuple(subscription.topics), tuple(subscription.intents), tuple(subscription.event_names))
    index = SubscriptionIndex([(interest, True)], singular=lambda name: singular(name, overrides))
    if not index.matching(event.topic, event.intent, event.data):
        wanted = ", ".join([*subscription.topics, *subscription.intents])
        if not wanted:
            return False, _("The event is %(event)s; the subscription wants nothing.") % {"event": event.name}
        words = _("The event is %(event)s; the subscription wants %(wanted)s.")
        return False, words % {"event": event.name, "wanted": wanted}
    if not subscription.filter.strip():
        return True, _("%(event)s matches, and there is no filter.") % {"event": event.name}
    try:
        context = {"topic": event.topic, "intent": event.intent}
        return explain(subscription.filter, event.data, context)
    except ExpressionError as error:
        return False, _("The filter failed: %(error)s") % {"error": error}


def request_for(
    *,
    integration: Integration,
    subscription: Subscription | None,
    event: Event,
    data_json: str,
    now: datetime,
    delivery: Delivery | None = None,
) -> tuple[Request | None, str]:
    """The masked request, or None and the reason."""
    try:
        return _request_for(integration, subscription, event, data_json, now, delivery)
    except DecryptionError as error:
        return None, _("The settings cannot be read: %(error)s") % {"error": error}
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("could not build the request for event %s", event.pk)
        words = _("Hookdesk failed to build this request (%(error)s). The log has the traceback.")
        return None, words % {"error": type(error).__name__}


def _request_for(
    integration: Integration,
    subscription: Subscription | None,
    event: Event,
    data_json: str,
    now: datetime,
    delivery: Delivery | None,
) -> tuple[Request | None, str]:
    endpoint = endpoint_of(integration, now)
    subscription_config = SubscriptionConfig("", dict(endpoint.parameters), "", "")
    if subscription is not None:
        parameters = merge_parameters(endpoint.parameters, subscription.parameters)
        subscription_config = SubscriptionConfig(subscription.path, parameters, subscription.transform, "")
    destination = DestinationConfig(endpoint, adapter_for(endpoint), ())
    try:
        message = build_message(
            _as_claimed(integration, event, data_json, now, delivery), destination, subscription_config, now
        )
    except PayloadError as error:
        return None, error.message
    built = build_request(message, destination)
    if isinstance(built, Request):
        return masked(built), ""
    return None, built.summary or built.message


def masked(request: Request) -> Request:
    return Request(
        method=request.method,
        url=redact_text(request.url, request.secrets),
        headers=masked_headers(request.headers, request.secrets),
        body=redact_bytes(request.body, request.secrets),
        timeout=request.timeout,
    )


def _as_claimed(
    integration: Integration, event: Event, data_json: str, now: datetime, delivery: Delivery | None
) -> ClaimedDelivery:
    values: dict[str, Any] = {
        "id": event.pk,  # two previews of one event differ in what was changed, and in nothing else
        "event_topic": event.topic,
        "event_intent": event.intent,
        "object_type": event.object_type,
        "object_id": event.object_id,
        "data_json": data_json,
        "origin": event.origin,
        "occurred_at": event.occurred_at,
        "hops": event.hops,
        "traceparent": event.traceparent,
    }
    if delivery is not None:
        values |= {
            "id": delivery.id,
            "attempt_number": delivery.attempt_count + 1,
            "first_sent_at": delivery.first_sent_at or now,
        }
    return ClaimedDelivery.sample(integration, now, **values)
