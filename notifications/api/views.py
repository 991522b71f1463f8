"""`/api/v1/notifications` (docs/contract.md#notifications)."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.errors import invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page, query_text
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.models import AccessToken
from notifications.models import Notification
from notifications.services import reopen_notification, resolve_notification


class NotificationSerializer(serializers.Serializer[Notification]):
    id = serializers.CharField(source="public_id")
    level = serializers.ChoiceField(Notification.Level.values)
    summary = serializers.CharField()
    status = serializers.ChoiceField(Notification.Status.values)
    resolved_by = serializers.CharField(allow_null=True, help_text="auto, a user's name, or null.")
    occurrences = serializers.IntegerField(source="count", help_text="Of an error, those of its case.")
    delivery = serializers.SerializerMethodField(help_text="The latest.")
    integration = serializers.CharField(source="integration.slug", allow_null=True, default=None)
    case = serializers.SerializerMethodField(help_text="The case that an error belongs to: case_…")
    created_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)

    def get_delivery(self, notification: Notification) -> str | None:
        return public_id("dlv", notification.delivery_id) if notification.delivery_id else None

    def get_case(self, notification: Notification) -> str | None:
        return notification.failure_group.public_id if notification.failure_group else None


def notification_json(notification: Notification) -> dict[str, Any]:
    return dict(NotificationSerializer(notification).data)


def notification_of(request: Request, notification_id: str) -> Notification:
    """Raises not_found, including for another store's."""
    wanted = parse_public_id("notif", notification_id)
    found = wanted and (
        Notification.objects.select_related("integration", "failure_group")
        .filter(store_id=principal_of(request).store_id, id=wanted)
        .first()
    )
    if not found:
        raise not_found("notification")
    return found


STATUS = OpenApiParameter("status", str, enum=Notification.Status.values)


def notifications_asked(request: Request) -> QuerySet[Notification]:
    """Those that the filter of the query string chooses. Raises parameter_invalid."""
    rows = Notification.objects.filter(store_id=principal_of(request).store_id)
    if "status" in request.query_params:
        if (status := query_text(request, "status")) not in Notification.Status.values:
            raise invalid("status must be open or resolved.", "status")
        rows = rows.filter(status=status)
    return rows


class NotificationsView(APIView):
    @extend_schema(
        operation_id="list_notifications",
        parameters=[STATUS, CURSOR, LIMIT],
        responses=answers(page_of(NotificationSerializer, "Notification"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        rows = notifications_asked(request).select_related("integration", "failure_group")
        return page(request, rows, notification_json, by=("created_at", "id"))


class NotificationView(APIView):
    @extend_schema(operation_id="get_notification", responses=answers(NotificationSerializer, more=(404,)))
    def get(self, request: Request, notification_id: str) -> Response:
        return Response(notification_json(notification_of(request, notification_id)))


class ReopenView(APIView):
    change_scope = AccessToken.Scope.RESOLVE

    @extend_schema(
        operation_id="reopen_notification", request=None, responses=answers(NotificationSerializer, more=(404,))
    )
    def post(self, request: Request, notification_id: str) -> Response:
        notification = notification_of(request, notification_id)
        reopen_notification(notification=notification, actor=Actor.of_principal(principal_of(request)))
        return Response(notification_json(notification_of(request, notification_id)))


class ResolveView(APIView):
    change_scope = AccessToken.Scope.RESOLVE

    @extend_schema(
        operation_id="resolve_notification", request=None, responses=answers(NotificationSerializer, more=(404,))
    )
    def post(self, request: Request, notification_id: str) -> Response:
        notification = notification_of(request, notification_id)
        resolve_notification(notification=notification, actor=Actor.of_principal(principal_of(request)))
        return Response(notification_json(notification_of(request, notification_id)))
