"""Subscriptions as Intercom's API showed them, with fields of our own; topics."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from integrations.api.fields import ObjectOfRowField, PublicIdField, TextOfRowField, TextOrNullField, UnixSecondsField
from integrations.api.openapi import PagesSerializer
from integrations.foundation.identifiers import public_id
from integrations.parameters import mask_parameters
from integrations.security.encrypted_fields import UNREADABLE, readable
from integrations.security.redaction import MASK
from subscriptions.models import Subscription, Topic
from subscriptions.services.topics import DESCRIPTION_LIMIT
from subscriptions.services.values import ENTRIES_LIMIT, LONGEST_POLL


def subscription_json(subscription: Subscription, request: Request) -> dict[str, Any]:
    """`integration.secrets` should be prefetched where many are shown."""
    return dict(SubscriptionSerializer(subscription, context={"request": request}).data)


def _masked_secret(subscription: Subscription) -> str | None:
    return MASK if any(secret.expires_at is None for secret in subscription.integration.secrets.all()) else None


def _masked_parameters(subscription: Subscription) -> dict[str, Any]:
    values = readable(subscription, "parameters")
    return {} if values is UNREADABLE else mask_parameters(values)


def _metadata(subscription: Subscription) -> dict[str, Any]:
    return {"event_names": subscription.event_names} if subscription.event_names else {}


def topic_json(topic: Topic) -> dict[str, Any]:
    return dict(TopicSerializer(topic).data)


_NAME = serializers.CharField(max_length=255)


class AddressField(serializers.CharField):
    """The subscription's own address, or that of what is below it."""

    def __init__(self, below: str = "", **options: Any) -> None:
        super().__init__(source="*", **options)
        self.below = below

    def to_representation(self, value: Any) -> str:
        path = f"/api/v1/subscriptions/{public_id('nsub', value.id)}{self.below}"
        return str(self.context["request"].build_absolute_uri(path))


class LinksSerializer(serializers.Serializer[Any]):
    sent = AddressField("/sent")
    retry = AddressField("/retry")
    errors = AddressField("/error")  # type: ignore[assignment]  # the API's word


class NotesField(serializers.ListField):
    """Intercom's, which Hookdesk has none of."""

    def to_representation(self, data: Any) -> list[Any]:
        return []


class SubscriptionSerializer(serializers.Serializer[Any]):
    type = TextOfRowField(lambda _: "notification_subscription")
    id = PublicIdField("nsub")
    service_type = TextOfRowField(lambda _: "web")
    app_id = serializers.CharField(source="store_id")
    url = TextOrNullField(source="integration.url")
    self = AddressField()
    topics = serializers.ListField(child=serializers.CharField())
    intents = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField(source="is_active")
    metadata = ObjectOfRowField(_metadata)
    hub_secret = TextOfRowField(_masked_secret, allow_null=True, help_text="Masked.")
    mode = TextOfRowField(lambda _: "point")
    links = LinksSerializer(source="*")
    notes = NotesField(source="*")
    created_at = UnixSecondsField()
    updated_at = UnixSecondsField()
    integration = serializers.CharField(source="integration.slug")
    path = serializers.CharField(allow_blank=True)
    filter = TextOrNullField()
    transform = TextOrNullField()
    parameters = ObjectOfRowField(_masked_parameters, help_text="Values masked.")
    ordered = serializers.BooleanField(source="is_ordered")
    poll_every = serializers.IntegerField(allow_null=True)
    inactive_reason = TextOrNullField()


class SubscriptionListSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    items = SubscriptionSerializer(many=True)
    subscriptions = SubscriptionSerializer(many=True, help_text="Duplicate, for clients that read this one.")
    pages = PagesSerializer()


class SubscriptionBodySerializer(serializers.Serializer[Any]):
    """The body of POST, PUT and PATCH. The services validate it; this only documents it."""

    url = serializers.CharField(required=False, help_text="Or `integration`.")
    integration = serializers.CharField(required=False, help_text="The slug of an existing one.")
    topics = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=ENTRIES_LIMIT
    )
    intents = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=ENTRIES_LIMIT
    )
    metadata = serializers.DictField(required=False, help_text='`{"event_names": […]}` for the topic event.created.')
    hub_secret = serializers.CharField(required=False, write_only=True)
    active = serializers.BooleanField(required=False)
    path = serializers.CharField(required=False, allow_blank=True, max_length=500)
    filter = serializers.CharField(required=False, help_text="JMESPath; truthy results pass.")
    transform = serializers.CharField(required=False, help_text="JMESPath; its result is sent.")
    parameters = serializers.DictField(required=False)
    ordered = serializers.BooleanField(required=False)
    poll_every = serializers.IntegerField(
        required=False, allow_null=True, max_value=LONGEST_POLL, help_text="Seconds, at least POLL_MIN_SECONDS."
    )


class TopicSerializer(serializers.Serializer[Topic]):
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    schema = serializers.JSONField(allow_null=True)
    condition = serializers.CharField(allow_blank=True)
    is_searchable = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TopicBodySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255)
    description = serializers.CharField(required=False, allow_blank=True, max_length=DESCRIPTION_LIMIT)
    schema = serializers.DictField(required=False, allow_null=True, help_text="JSON Schema of the data.")
    condition = serializers.CharField(required=False, help_text="JMESPath over `old` and `new`.")
    is_searchable = serializers.BooleanField(
        required=False, help_text="False: what it brings is not searchable, and what the search has of it is deleted."
    )
