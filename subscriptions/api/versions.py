"""`/api/v1/subscriptions/{id}/versions` (docs/contract.md#time-machine)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.errors import not_found
from integrations.api.openapi import answers
from integrations.api.views import actor_of
from subscriptions.api.serializers import SubscriptionSerializer, subscription_json
from subscriptions.api.views import api_names, subscription_of
from subscriptions.models import Subscription, SubscriptionVersion
from subscriptions.services.restoring import ShownVersion, restore_version, version_of, versions_of


class VersionSerializer(serializers.Serializer[Any]):
    """What the subscription was from `since` on. Parameters are not kept, as they may hold credentials."""

    number = serializers.IntegerField()
    since = serializers.DateTimeField()
    by = serializers.CharField(allow_null=True)
    current = serializers.BooleanField(help_text="It is what the subscription is now.")
    kept = serializers.BooleanField(help_text="It can be put back, when it is no longer current.")
    changed = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="From the version before; null: not known."
    )
    integration = serializers.CharField(help_text="Its name.")
    topics = serializers.ListField(child=serializers.CharField())
    intents = serializers.ListField(child=serializers.CharField())
    event_names = serializers.ListField(child=serializers.CharField())
    path = serializers.CharField(allow_blank=True)
    filter = serializers.CharField(allow_blank=True)
    transform = serializers.CharField(allow_blank=True)
    ordered = serializers.BooleanField()
    active = serializers.BooleanField()


class VersionsSerializer(serializers.Serializer[Any]):
    items = VersionSerializer(many=True, help_text="The latest first, up to 100.")


_NAMES = {"is_ordered": "ordered", "is_active": "active"}


def version_json(version: ShownVersion) -> dict[str, Any]:
    shown = {
        "number": version.number,
        "since": version.since,
        "by": version.by or None,
        "current": version.is_current,
        "kept": version.is_kept,
        "changed": None if version.changed is None else [_NAMES.get(name, name) for name in version.changed],
        **{_NAMES.get(name, name): value for name, value in version.values.items()},
    }
    return dict(VersionSerializer(shown).data)


class VersionsView(APIView):
    @extend_schema(operation_id="list_subscription_versions", responses=answers(VersionsSerializer, more=(404,)))
    def get(self, request: Request, subscription_id: str) -> Response:
        subscription = subscription_of(request, subscription_id, has_credentials=False)
        return Response({"items": [version_json(version) for version in versions_of(subscription)]})


class RestoreView(APIView):
    @extend_schema(
        operation_id="restore_subscription_version",
        request=None,
        responses=answers(SubscriptionSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, subscription_id: str, number: str) -> Response:
        subscription = subscription_of(request, subscription_id)
        version = _version(subscription, number)
        with api_names():
            found = restore_version(subscription=subscription, version=version, actor=actor_of(request))
        return Response(subscription_json(found, request))


def _version(subscription: Subscription, text: str) -> SubscriptionVersion:
    is_number = text.isascii() and text.isdecimal() and len(text) < 10
    found = version_of(subscription, int(text)) if is_number else None
    if found is None:
        raise not_found("version")
    return found
