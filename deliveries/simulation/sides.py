"""One configuration of a subscription, ready to be asked about many events. Nothing is sent, and nothing is stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from deliveries.dispatch.build import build_message, build_request
from deliveries.dispatch.config_cache import DestinationConfig, SubscriptionConfig
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Event
from deliveries.results.request_changes import SentRequest
from deliveries.simulation.comparing import Outcome
from integrations.connectors import adapter_for
from integrations.endpoint import endpoint_of, merge_parameters
from integrations.foundation.strict_json import DocumentError, dump_document
from integrations.object_types import singular
from integrations.security.encryption import DecryptionError
from integrations.transport import Request
from integrations.wire_formats.base import Message, PayloadError
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, passes, transform
from subscriptions.matching import Interest, SubscriptionIndex
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.simulation")


class Side:
    """A subscription and its integration, saved or not. `is_active`: what it gets if it were on."""

    def __init__(self, subscription: Subscription, *, now: datetime, is_active: bool) -> None:
        self._subscription, self._now, self._is_active = subscription, now, is_active
        one = partial(singular, overrides=subscription.store.singular_overrides)
        interest = Interest(tuple(subscription.topics), tuple(subscription.intents), tuple(subscription.event_names))
        self._index = SubscriptionIndex([(interest, None)], singular=one)
        self._possible: list[dict[str, Any]] = [{}, *({"event_name": name} for name in interest.event_names)]
        self._problem = ""
        try:
            endpoint = endpoint_of(subscription.integration, now)
            parameters = merge_parameters(endpoint.parameters, subscription.parameters)
        except DecryptionError as error:
            self._problem = _("The settings cannot be read: %(error)s") % {"error": error}
        else:
            self._destination = DestinationConfig(endpoint, adapter_for(endpoint), ())
            # Filter and transform are evaluated here, within the allowance.
            self._config = SubscriptionConfig(subscription.path, parameters, "", "")

    def is_about(self, topic: str | None, intent: str | None) -> bool:
        """Whether it may want such an event, whatever is in it."""
        return any(self._index.matching(topic, intent, data) for data in self._possible)

    def outcome(self, event: Event, data_json: str, allowance: Allowance) -> Outcome:
        """`data_json`: the event's data. Raises BudgetExceeded if the allowance is used up."""
        if not self._is_active or not self._index.matching(event.topic, event.intent, event.data):
            return Outcome(False)
        context = {"topic": event.topic, "intent": event.intent}
        try:
            if not self._evaluated(partial(passes, self._subscription.filter), event, context, allowance):
                return Outcome(False)
        except ExpressionError as error:
            # As ingest and engine do: a delivery is made, and fails.
            words = _("The subscription's filter failed on this payload: %(error)s")
            return Outcome(True, error=words % {"error": error.message})
        if self._problem:
            return Outcome(True, error=self._problem)
        try:
            transformed = None
            if self._subscription.transform.strip():
                result = self._evaluated(partial(transform, self._subscription.transform), event, context, allowance)
                transformed = dump_document(result)
        except (ExpressionError, DocumentError) as error:
            words = _("The subscription's transform failed on this payload: %(error)s")
            return Outcome(True, error=words % {"error": error.message})
        return self._built(event, data_json, transformed)

    def _evaluated(self, work: Callable[..., Any], event: Event, context: Any, allowance: Allowance) -> Any:
        try:
            with allowance.evaluation() as budget:
                return work(event.data, context, budget)
        except ExpressionError:
            if allowance.is_used_up:  # it may not be at fault: others have used up the budget
                raise BudgetExceeded from None
            raise

    def _built(self, event: Event, data_json: str, transformed: str | None) -> Outcome:
        try:
            message = replace(self._message(event, data_json), transformed_json=transformed)
            built = build_request(message, self._destination)
        except PayloadError as error:
            return Outcome(True, error=error.message)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            logger.exception("could not build the request for event %s", event.pk)
            words = _("Hookdesk failed to build this request (%(error)s).")
            return Outcome(True, error=words % {"error": type(error).__name__})
        if isinstance(built, Request):
            body = built.body.decode(errors="replace")
            return Outcome(True, SentRequest(built.method, built.url, built.headers, body))
        return Outcome(True, error="" if built.is_success else built.message)

    def _message(self, event: Event, data_json: str) -> Message:
        claimed = ClaimedDelivery.sample(
            self._subscription.integration,
            self._now,
            id=event.pk,  # the same on both sides, as bodies may have it
            event_topic=event.topic,
            event_intent=event.intent,
            object_type=event.object_type,
            object_id=event.object_id,
            data_json=data_json,
            origin=event.origin,
            occurred_at=event.occurred_at,
            hops=event.hops,
        )
        return build_message(claimed, self._destination, self._config, self._now)
