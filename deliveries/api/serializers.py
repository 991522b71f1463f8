"""Deliveries, attempts and notification feeds as the API shows them (docs/contract.md)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rest_framework import serializers

from deliveries.ingest.loops import why_stopped
from deliveries.models import Attempt, Delivery, Event
from deliveries.results.attempt_bodies import readable_body, readable_response
from integrations.api.bodies import TEXT_LIMIT
from integrations.api.openapi import PagesSerializer
from integrations.foundation.identifiers import public_id

_moments = serializers.DateTimeField()


def _moment(value: datetime | None) -> str | None:
    return None if value is None else _moments.to_representation(value)


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """`event` and `integration` should be selected where many are shown."""
    event = delivery.event
    return {
        "id": delivery.public_id,
        "status": delivery.status,
        "event": {"id": event.public_id, "topic": event.topic, "intent": event.intent, "data": event.data},
        "subscription": public_id("nsub", delivery.subscription_id) if delivery.subscription_id else None,
        "integration": delivery.integration.slug,
        "request_id": delivery.request_id,
        "attempts": delivery.attempt_count,
        "next_attempt_at": _moment(delivery.next_attempt_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error or None,
        "created_at": _moment(delivery.created_at),
        "finished_at": _moment(delivery.finished_at),
    }


#: Of one event; the rest is in the list of deliveries.
DELIVERIES_SHOWN = 1_000


def event_json(event: Event) -> dict[str, Any]:
    """`stopped` is why it was not sent on although subscriptions asked for it, or None."""
    deliveries = Delivery.objects.filter(event=event).order_by("id").values_list("id", flat=True)[:DELIVERIES_SHOWN]
    return {
        "id": event.public_id,
        "topic": event.topic,
        "intent": event.intent,
        "data": event.data,
        "object": {"type": event.object_type, "id": event.object_id} if event.object_id else None,
        "origin": event.origin,
        "hops": event.hops,
        "stopped": why_stopped(event.hops) if event.is_stopped else None,
        "occurred_at": _moment(event.occurred_at),
        "created_at": _moment(event.created_at),
        "deliveries": [public_id("dlv", key) for key in deliveries],
    }


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """Credentials are masked. `delivery` with its integration and subscription should be selected."""
    return {
        "number": attempt.number,
        "trigger": attempt.trigger,
        "outcome": attempt.outcome,
        "started_at": _moment(attempt.started_at),
        "duration_ms": attempt.duration_ms,
        "request": request_json(attempt),
        "response": response_json(attempt),
        "error": {"kind": attempt.error_kind, "message": attempt.error_message} if attempt.error_kind else None,
    }


def request_json(attempt: Attempt) -> dict[str, Any] | None:
    """None where there was nothing to send: a connector skipped it, or the payload did not fit the format."""
    if not attempt.method:
        return None
    return {
        "method": attempt.method,
        "url": attempt.url,
        "headers": _headers(attempt.request_headers),
        "body": readable_body(attempt),
    }


def response_json(attempt: Attempt) -> dict[str, Any] | None:
    if attempt.response_status is None:
        return None
    return {
        "status": attempt.response_status,
        "headers": _headers(attempt.response_headers or []),
        "body": readable_response(attempt),
    }


def notification_json(delivery: Delivery, app_id: str) -> dict[str, Any]:
    """A delivery as Intercom's feeds show it: the envelope that was sent, and what became of it."""
    event = delivery.event
    item = event.data if "type" in event.data else {"type": event.object_type, **event.data}
    is_delivered = delivery.status == Delivery.Status.SUCCEEDED and delivery.finished_at is not None
    return {
        "type": "notification_event",
        "app_id": app_id,
        "data": {"type": "notification_event_data", "item": item},
        "links": {},
        "id": public_id("notif", delivery.id),
        "topic": delivery.topic,
        "delivery_status": delivery.status,
        "delivery_attempts": delivery.attempt_count,
        "delivered_at": int(delivery.finished_at.timestamp()) if is_delivered and delivery.finished_at else 0,
        "first_sent_at": int(delivery.first_sent_at.timestamp()) if delivery.first_sent_at else 0,
        "created_at": int(event.created_at.timestamp()),
        "self": None,
    }


def http_request_json(attempt: Attempt) -> dict[str, Any]:
    """The last request of a notification that failed, and what came back."""
    shown = attempt_json(attempt)
    return (shown["request"] or {}) | {"response": shown["response"], "error": shown["error"]}


def _headers(pairs: Iterable[Iterable[str]]) -> dict[str, str]:
    """By name; several of the same name are joined as HTTP allows."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    topic = serializers.CharField(allow_null=True)
    intent = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # the API's word


class ObjectSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField()


class WholeEventSerializer(EventSerializer):
    """Describes `event_json`."""

    object = ObjectSerializer(allow_null=True)
    origin = serializers.ChoiceField(Event.Origin.values)
    hops = serializers.IntegerField(help_text="How often it went through a receiver, or another Hookdesk, and back.")
    stopped = serializers.CharField(
        allow_null=True,
        help_text="Why it was not sent on although subscriptions asked for it: it goes round in a loop.",
    )
    occurred_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    deliveries = serializers.ListField(child=serializers.CharField())


class DeliverySerializer(serializers.Serializer[Any]):
    """Describes `delivery_json`."""

    id = serializers.CharField()
    status = serializers.ChoiceField(Delivery.Status.values)
    event = EventSerializer()
    subscription = serializers.CharField(allow_null=True)
    integration = serializers.CharField()
    request_id = serializers.CharField()
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_error = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class RequestSerializer(serializers.Serializer[Any]):
    method = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField(allow_blank=True)


class ResponseSerializer(serializers.Serializer[Any]):
    status = serializers.IntegerField()
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField(allow_blank=True)


class AttemptErrorSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    message = serializers.CharField(allow_blank=True)


class AttemptSerializer(serializers.Serializer[Any]):
    """Describes `attempt_json`."""

    number = serializers.IntegerField()
    trigger = serializers.ChoiceField(Delivery.Trigger.values)
    outcome = serializers.ChoiceField(Attempt.Outcome.values)
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField(allow_null=True)
    request = RequestSerializer(allow_null=True)
    response = ResponseSerializer(allow_null=True)
    error = AttemptErrorSerializer(allow_null=True)


class ResolveBodySerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(["retry", "edit", "discard"])
    payload = serializers.DictField(required=False, help_text="With edit: the whole data, before the transform.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=TEXT_LIMIT)
    update_record = serializers.BooleanField(required=False, help_text="With edit: the store's record is changed too.")


class NotificationListSerializer(serializers.Serializer[Any]):
    """Intercom's feed: `notification_event` envelopes; in the error feed with `http_request`."""

    type = serializers.CharField()
    notifications = serializers.ListField(child=serializers.DictField())
    pages = PagesSerializer()
