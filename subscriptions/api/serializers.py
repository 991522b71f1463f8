"""Subscriptions as Intercom's API showed them, with fields of our own; topics."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from integrations.api.openapi import PagesSerializer
from integrations.foundation.identifiers import public_id
from integrations.models import Secret
from integrations.parameters import mask_parameters
from integrations.security.encrypted_fields import UNREADABLE, readable
from integrations.security.redaction import MASK
from subscriptions.models import Subscription, Topic
from subscriptions.services.topics import DESCRIPTION_LIMIT
from subscriptions.services.values import ENTRIES_LIMIT, LONGEST_POLL


def subscription_json(subscription: Subscription, request: Request) -> dict[str, Any]:
    """`integration.secrets` should be prefetched where many are shown."""
    identity = public_id("nsub", subscription.id)
    here = request.build_absolute_uri(f"/api/v1/subscriptions/{identity}")
    integration = subscription.integration
    return {
        "type": "notification_subscription",
        "id": identity,
        "service_type": "web",
        "app_id": str(subscription.store_id),
        "url": integration.url or None,
        "self": here,
        "topics": subscription.topics,
        "intents": subscription.intents,
        "active": subscription.is_active,
        "metadata": {"event_names": subscription.event_names} if subscription.event_names else {},
        "hub_secret": MASK if any(_is_current(secret) for secret in integration.secrets.all()) else None,
        "mode": "point",
        "links": {"sent": f"{here}/sent", "retry": f"{here}/retry", "errors": f"{here}/error"},
        "notes": [],
        "created_at": int(subscription.created_at.timestamp()),
        "updated_at": int(subscription.updated_at.timestamp()),
        "integration": integration.slug,
        "path": subscription.path,
        "filter": subscription.filter or None,
        "transform": subscription.transform or None,
        "parameters": {} if (values := readable(subscription, "parameters")) is UNREADABLE else mask_parameters(values),
        "ordered": subscription.is_ordered,
        "poll_every": subscription.poll_every,
        "inactive_reason": subscription.inactive_reason or None,
    }


def _is_current(secret: Secret) -> bool:
    return secret.expires_at is None


def topic_json(topic: Topic) -> dict[str, Any]:
    return dict(TopicSerializer(topic).data)


_NAME = serializers.CharField(max_length=255)


class LinksSerializer(serializers.Serializer[Any]):
    sent = serializers.CharField()
    retry = serializers.CharField()
    errors = serializers.CharField()  # type: ignore[assignment]  # the API's word


class SubscriptionSerializer(serializers.Serializer[Any]):
    """Describes `subscription_json`."""

    type = serializers.CharField()
    id = serializers.CharField()
    service_type = serializers.CharField()
    app_id = serializers.CharField()
    url = serializers.CharField(allow_null=True)
    self = serializers.CharField()
    topics = serializers.ListField(child=serializers.CharField())
    intents = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField()
    metadata = serializers.DictField()
    hub_secret = serializers.CharField(allow_null=True, help_text="Masked.")
    mode = serializers.CharField()
    links = LinksSerializer()
    notes = serializers.ListField()
    created_at = serializers.IntegerField(help_text="Unix seconds.")
    updated_at = serializers.IntegerField(help_text="Unix seconds.")
    integration = serializers.CharField()
    path = serializers.CharField(allow_blank=True)
    filter = serializers.CharField(allow_null=True)
    transform = serializers.CharField(allow_null=True)
    parameters = serializers.DictField(help_text="Values masked.")
    ordered = serializers.BooleanField()
    poll_every = serializers.IntegerField(allow_null=True)
    inactive_reason = serializers.CharField(allow_null=True)


class SubscriptionListSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    items = SubscriptionSerializer(many=True)
    subscriptions = SubscriptionSerializer(many=True, help_text="The same again: some clients read this one.")
    pages = PagesSerializer()


class SubscriptionBodySerializer(serializers.Serializer[Any]):
    """What POST, PUT and PATCH take. The services check it; here it is only described."""

    url = serializers.CharField(required=False, help_text="Or `integration`.")
    integration = serializers.CharField(required=False, help_text="The slug of one that exists.")
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
    filter = serializers.CharField(required=False, help_text="JMESPath; what is truthy passes.")
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
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TopicBodySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=255)
    description = serializers.CharField(required=False, allow_blank=True, max_length=DESCRIPTION_LIMIT)
    schema = serializers.DictField(required=False, allow_null=True, help_text="JSON Schema of the data.")
    condition = serializers.CharField(required=False, help_text="JMESPath over `old` and `new`.")
