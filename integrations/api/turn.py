"""Handshake, context and actions of Turn.io integrations for programs (docs/contract.md#turn)."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.bodies import body_of, mapping
from integrations.api.errors import APIError, invalid
from integrations.api.openapi import answers
from integrations.api.serializers import (
    ActionAnswerSerializer,
    ActionBodySerializer,
    ContextBodySerializer,
    ContextSerializer,
    HandshakeSerializer,
)
from integrations.api.views import integration_of
from integrations.services.turn import ActionNotOffered, NotTurn, handshake, request_context, run_action

REFRESH_HEADER = "X-Turn-Integration-Refresh"


class HandshakeView(APIView):
    @extend_schema(operation_id="handshake", request=None, responses=answers(HandshakeSerializer))
    def post(self, request: Request, slug: str) -> Response:
        try:
            return Response(handshake(integration=integration_of(request, slug), now=timezone.now()))
        except NotTurn as error:
            raise APIError(400, str(error)) from None


class ContextView(APIView):
    @extend_schema(
        operation_id="request_context",
        request=ContextBodySerializer,
        responses=answers(ContextSerializer, more=(400, 404, 502)),
    )
    def post(self, request: Request, slug: str) -> Response:
        integration = integration_of(request, slug)
        body = body_of(request)
        messages = body.get("messages")
        messages = [] if messages is None else messages
        if not isinstance(messages, list):
            raise invalid("messages must be an array.", "messages")
        try:
            context = request_context(
                integration=integration,
                chat=mapping(body, "chat", default={}),
                messages=messages,
                now=timezone.now(),
            )
        except NotTurn as error:
            raise APIError(400, str(error)) from None
        if not context.is_ok:
            raise unanswered(context.error)
        return Response(
            {
                "context_objects": dict(context.context_objects),
                "suggested_responses": list(context.suggested_responses),
                "actions": dict(context.actions),
            }
        )


class ActionView(APIView):
    @extend_schema(
        operation_id="run_action",
        parameters=[OpenApiParameter("code", str, OpenApiParameter.PATH)],
        request=ActionBodySerializer,
        responses=answers(ActionAnswerSerializer, more=(400, 404, 502)),
    )
    def post(self, request: Request, slug: str, code: str) -> Response:
        integration = integration_of(request, slug)
        body = body_of(request)
        try:
            answered = run_action(
                integration=integration,
                code=code,
                now=timezone.now(),
                **{name: body.get(name) for name in ("address", "message", "option", "payload")},
            )
        except NotTurn as error:
            raise APIError(400, str(error)) from None
        except ActionNotOffered:
            message = "The last context response of this integration did not offer this action."
            raise APIError(404, message) from None
        if not answered.answer.is_ok:
            raise unanswered(answered.answer.error)
        wants_refresh = answered.answer.is_refresh_wanted
        return Response(
            {"ok": True, "status": answered.status, "refresh": wants_refresh, "body": answered.answer.body},
            headers={REFRESH_HEADER: "true"} if wants_refresh else {},
        )


def unanswered(error: str | None) -> APIError:
    """The integration's fault, not the caller's: 502."""
    return APIError(502, error or "The integration did not answer.", code="service_unavailable")
