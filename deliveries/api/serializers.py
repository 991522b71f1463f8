"""Deliveries, attempts and notification feeds as the API shows them (docs/contract.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from deliveries.ingest.loops import why_stopped
from deliveries.models import Attempt, Delivery, Event, Revision, SourceEvent
from deliveries.results.attempt_bodies import readable_body, readable_response
from integrations.api.bodies import TEXT_LIMIT
from integrations.api.fields import PublicIdField, TextOfRowField, TextOrNullField
from integrations.api.openapi import PagesSerializer
from integrations.foundation.identifiers import public_id

#: Of one event; the rest is in the list of deliveries.
DELIVERIES_SHOWN = 1_000
RESOLVE_ACTIONS = ("retry", "edit", "discard", "wait", "release")


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    topic = serializers.CharField(allow_null=True)
    intent = serializers.CharField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # the contract's word


class ObjectSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(source="object_type")
    id = serializers.CharField(source="object_id")

    def to_representation(self, instance: Event) -> Any:
        return super().to_representation(instance) if instance.object_id else None


def slug_of_source(event: Event) -> str | None:
    """Of the source that an event came from; None for what came another way."""
    if event.origin != Event.Origin.SOURCE:
        return None
    found = SourceEvent.objects.filter(event_id=event.pk).select_related("source").first()
    return None if found is None else found.source.slug


class DeliveriesOfEventField(serializers.ListField):
    def to_representation(self, data: Any) -> list[str]:
        ids = Delivery.objects.filter(event=data).order_by("id").values_list("id", flat=True)
        return [public_id("dlv", key) for key in ids[:DELIVERIES_SHOWN]]


class ListedEventSerializer(EventSerializer):
    object = ObjectSerializer(source="*", allow_null=True)
    origin = serializers.ChoiceField(Event.Origin.values)
    source = TextOfRowField(  # type: ignore[assignment]  # the contract's word
        slug_of_source, allow_null=True, help_text="Slug of the source that it came from."
    )
    hops = serializers.IntegerField(help_text="How often it went through a receiver, or another Hookdesk, and back.")
    stopped = TextOfRowField(
        lambda event: why_stopped(event.hops) if event.is_stopped else None,
        allow_null=True,
        help_text="Why it was not sent on although subscriptions asked for it: it goes round in a loop.",
    )
    occurred_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    erased_at = serializers.DateTimeField(allow_null=True, help_text="When its data was erased.")


class WholeEventSerializer(ListedEventSerializer):
    deliveries = DeliveriesOfEventField(source="*", child=serializers.CharField())


# `event` and `integration` should be selected where many are shown.
class DeliverySerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    status = serializers.ChoiceField(Delivery.Status.values)
    event = EventSerializer()
    subscription = PublicIdField("nsub", source="subscription_id", allow_null=True)
    integration = serializers.CharField(source="integration.slug")
    request_id = serializers.CharField()
    attempts = serializers.IntegerField(source="attempt_count")
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    last_status = serializers.IntegerField(allow_null=True)
    last_error = TextOrNullField()
    backfilled_by = serializers.CharField(
        allow_null=True, help_text="Who had it made for a past event; null: it was made when the event came."
    )
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    erased_at = serializers.DateTimeField(
        allow_null=True, help_text="When its payload was erased: it cannot be resent."
    )


class HeadersField(serializers.DictField):
    """By name; several of the same name are joined as HTTP allows."""

    child = serializers.CharField()

    def to_representation(self, value: Iterable[Iterable[str]] | None) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, text in value or []:
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        return headers


class RequestSerializer(serializers.Serializer[Any]):
    """Null where there was nothing to send: a connector skipped it, or the payload did not fit the format. Also while
    the attempt is under way, and if the worker was killed meanwhile.
    """

    method = serializers.CharField(allow_blank=True)
    url = serializers.CharField(allow_blank=True)
    headers = HeadersField(source="request_headers")
    body = TextOfRowField(readable_body, allow_blank=True)

    def to_representation(self, instance: Attempt) -> Any:
        return super().to_representation(instance) if instance.method else None


class ResponseSerializer(serializers.Serializer[Any]):
    status = serializers.IntegerField(source="response_status")
    headers = HeadersField(source="response_headers")
    body = TextOfRowField(readable_response, allow_blank=True)

    def to_representation(self, instance: Attempt) -> Any:
        return None if instance.response_status is None else super().to_representation(instance)


class AttemptErrorSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(source="error_kind")
    message = serializers.CharField(source="error_message", allow_blank=True)

    def to_representation(self, instance: Attempt) -> Any:
        return super().to_representation(instance) if instance.error_kind else None


# `delivery` with its integration and subscription should be selected.
class AttemptSerializer(serializers.Serializer[Any]):
    """Credentials are masked."""

    number = serializers.IntegerField()
    trigger = serializers.ChoiceField(Delivery.Trigger.values)
    outcome = serializers.ChoiceField(Attempt.Outcome.values)
    started_at = serializers.DateTimeField()
    duration_ms = serializers.IntegerField(allow_null=True)
    subscription_version = serializers.SerializerMethodField(
        help_text="Which version of the subscription it was made by; null: not known."
    )
    request = RequestSerializer(source="*", allow_null=True)
    response = ResponseSerializer(source="*", allow_null=True)
    error = AttemptErrorSerializer(source="*", allow_null=True)

    def get_subscription_version(self, attempt: Attempt) -> int | None:
        made_by = self.context.get("made_by")
        return made_by.version_of(attempt).number if made_by is not None else None


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
    shown = AttemptSerializer(attempt).data
    return (shown["request"] or {}) | {"response": shown["response"], "error": shown["error"]}


class RecordSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField(source="external_id")
    data = serializers.DictField()  # type: ignore[assignment]  # the contract's word
    version = serializers.IntegerField(help_text="How often it has changed.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class RevisionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    author = serializers.CharField(source="author_name")
    reason = serializers.CharField(allow_blank=True)
    patch = serializers.ListField(child=serializers.DictField(), help_text="JSON Patch from the previous one.")
    data = serializers.DictField()  # type: ignore[assignment]  # the contract's word
    status = serializers.SerializerMethodField(help_text="sent, awaiting (approval) or rejected")
    created_at = serializers.DateTimeField()

    def get_status(self, revision: Revision) -> str:
        return "awaiting" if revision.is_awaiting_approval else "rejected" if revision.rejected_at else "sent"


class ResolveBodySerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(
        RESOLVE_ACTIONS, help_text="wait: for a fix at the source. release: send what is held."
    )
    payload = serializers.DictField(required=False, help_text="With edit: the whole data, before the transform.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=TEXT_LIMIT)
    update_record = serializers.BooleanField(required=False, help_text="With edit: also update the store's record.")
    propose = serializers.BooleanField(required=False, default=False, help_text="A person is to approve it first.")


class NotificationListSerializer(serializers.Serializer[Any]):
    """Intercom's feed: `notification_event` envelopes; in the error feed with `http_request`."""

    type = serializers.CharField()
    notifications = serializers.ListField(child=serializers.DictField())
    pages = PagesSerializer()
