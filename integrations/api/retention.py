"""`/api/v1/retention`: how long the caller's store keeps what happened (docs/contract.md#retention)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of
from integrations.api.openapi import answers
from integrations.api.views import actor_of, store_of
from integrations.models import Retention
from integrations.services.retention import DAYS_LIMIT, KINDS, default_days, set_retention


def _days(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=DAYS_LIMIT, help_text=help_text
    )


class RetentionBodySerializer(serializers.Serializer[Any]):
    """Days by kind; null is the installation's default."""

    successes = _days("Deliveries that succeeded, with attempts and events.")
    failures = _days("Deliveries that failed, were discarded or superseded.")
    records = _days("Since their last change.")
    notifications = _days("Resolved ones.")
    audit = _days("Who changed what.")


class DefaultsSerializer(RetentionBodySerializer):
    """Days by kind; null: kept for ever."""


class RetentionSerializer(RetentionBodySerializer):
    defaults = DefaultsSerializer(help_text="What null means, in this installation; null there: kept for ever.")


def _shown(rule: Retention) -> dict[str, Any]:
    own = {kind: getattr(rule, kind) for kind in KINDS}
    return dict(RetentionSerializer(own | {"defaults": {kind: default_days(kind) for kind in KINDS}}).data)


class RetentionView(APIView):
    @extend_schema(operation_id="get_retention", responses=answers(RetentionSerializer, more=()))
    def get(self, request: Request) -> Response:
        store_id = principal_of(request).store_id
        rule = Retention.objects.filter(store_id=store_id).first() or Retention(store_id=store_id)
        return Response(_shown(rule))

    @extend_schema(
        operation_id="set_retention",
        request=RetentionBodySerializer,
        responses=answers(RetentionSerializer, more=(400,)),
    )
    def patch(self, request: Request) -> Response:
        """What is left out stays. What is older than the new time is deleted within a day, and for good."""
        values = {kind: value for kind, value in body_of(request).items() if kind in KINDS}
        return Response(_shown(set_retention(store=store_of(request), actor=actor_of(request), values=values)))
