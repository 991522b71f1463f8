"""What was sent for a subscription and what failed, as Intercom's API showed it; pings (docs/contract.md)."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Prefetch
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.serializers import (
    AttemptSerializer,
    NotificationListSerializer,
    http_request_json,
    notification_json,
)
from deliveries.models import Attempt, Delivery
from deliveries.previews.ping import ping_now, request_ping
from integrations.api.errors import APIError
from integrations.api.openapi import CURSOR, LIMIT, answers
from integrations.api.paging import page
from integrations.api.views import integration_of
from integrations.wire_formats.base import PayloadError
from subscriptions.api.serializers import SubscriptionSerializer, subscription_json
from subscriptions.api.views import subscription_of

Status = Delivery.Status


class FeedView(APIView):
    """One feed of a subscription: its deliveries in certain states, newest first."""

    statuses: list[str]
    has_requests = False

    def get(self, request: Request, subscription_id: str) -> Response:
        subscription = subscription_of(request, subscription_id)
        rows = Delivery.objects.filter(
            integration=subscription.integration_id, subscription=subscription, status__in=self.statuses
        ).select_related("event", "integration", "subscription")
        if self.has_requests:
            last = Attempt.objects.filter(number=F("delivery__attempt_count"))
            rows = rows.prefetch_related(Prefetch("attempts", last, to_attr="last_attempts"))
        return page(request, rows, self._show, envelope=_envelope)

    def _show(self, delivery: Delivery) -> dict[str, Any]:
        shown = notification_json(delivery, str(delivery.store_id))
        if self.has_requests:
            attempts: list[Attempt] = delivery.last_attempts  # type: ignore[attr-defined]
            shown["http_request"] = http_request_json(attempts[0]) if attempts else None
        return shown


def _envelope(notifications: list[Any]) -> dict[str, Any]:
    return {"type": "notification.list", "notifications": notifications}


class SentView(FeedView):
    statuses = [Status.SUCCEEDED]

    @extend_schema(operation_id="list_sent", parameters=[CURSOR, LIMIT], responses=answers(NotificationListSerializer))
    def get(self, request: Request, subscription_id: str) -> Response:
        return super().get(request, subscription_id)


class RetryView(FeedView):
    statuses = [Status.RETRYING]
    has_requests = True

    @extend_schema(
        operation_id="list_retrying", parameters=[CURSOR, LIMIT], responses=answers(NotificationListSerializer)
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        return super().get(request, subscription_id)


class ErrorsView(FeedView):
    """Deliveries that have failed permanently, and those still being retried."""

    statuses = [Status.FAILED, Status.RETRYING]
    has_requests = True

    @extend_schema(
        operation_id="list_errors", parameters=[CURSOR, LIMIT], responses=answers(NotificationListSerializer)
    )
    def get(self, request: Request, subscription_id: str) -> Response:
        return super().get(request, subscription_id)


class SubscriptionPingView(APIView):
    @extend_schema(operation_id="ping_subscription", request=None, responses=answers(SubscriptionSerializer))
    def post(self, request: Request, subscription_id: str) -> Response:
        subscription = subscription_of(request, subscription_id)
        now = timezone.now()
        if subscription.integration.connector:
            try:
                ping_now(integration=subscription.integration, now=now, subscription=subscription)
            except PayloadError as error:
                raise APIError(400, error.message) from None
        else:
            request_ping(subscription=subscription, now=now)
        return Response(subscription_json(subscription, request))


class IntegrationPingView(APIView):
    @extend_schema(operation_id="ping_integration", request=None, responses=answers(AttemptSerializer))
    def post(self, request: Request, slug: str) -> Response:
        try:
            attempt = ping_now(integration=integration_of(request, slug), now=timezone.now())
        except PayloadError as error:
            raise APIError(400, error.message) from None
        return Response(AttemptSerializer(attempt).data)
