"""`/api/v1/integrations` and `/api/v1/tokens` (docs/contract.md#management-api). Thin: read, call a service, show."""

from __future__ import annotations

import uuid
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, moment, text, texts
from integrations.api.errors import APIError, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.api.serializers import (
    IntegrationBodySerializer,
    IntegrationSerializer,
    NewIntegrationSerializer,
    NewTokenSerializer,
    SecretAnswerSerializer,
    TokenBodySerializer,
    TokenSerializer,
)
from integrations.foundation.audit import Actor
from integrations.models import AccessToken, Integration, Store
from integrations.security.tokens import DEFAULT_SCOPES
from integrations.services import (
    ROTATION_OVERLAP,
    IntegrationValues,
    create_integration,
    delete_integration,
    issue_token,
    rotate_secret,
    update_integration,
    withdraw_token,
)


def store_of(request: Request) -> Store:
    return Store.objects.get(id=principal_of(request).store_id)


def actor_of(request: Request) -> Actor:
    return Actor.of_principal(principal_of(request))


def integration_of(request: Request, slug: str, *, has_credentials: bool = True) -> Integration:
    """Raises not_found, including for another store's. `has_credentials`: read them too."""
    mine = Integration.objects.alive().filter(store_id=principal_of(request).store_id, slug=slug)
    found = (mine if has_credentials else mine.without_credentials()).select_related("health").first()
    if found is None:
        raise not_found("integration")
    return found


def integration_json(integration: Integration) -> dict[str, Any]:
    return dict(IntegrationSerializer(integration).data)


def values_of(request: Request) -> Any:
    """The settable fields; other members of the body are ignored."""
    return {name: value for name, value in body_of(request).items() if name in IntegrationValues.__annotations__}


class IntegrationsView(APIView):
    @extend_schema(
        operation_id="list_integrations",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(IntegrationSerializer, "Integration"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        mine = Integration.objects.alive().filter(store_id=principal_of(request).store_id)
        return page(request, mine.select_related("health"), integration_json)

    @extend_schema(
        operation_id="create_integration",
        request=IntegrationBodySerializer,
        responses=answers(NewIntegrationSerializer, status=201, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        integration = create_integration(store=store_of(request), actor=actor_of(request), **values_of(request))
        # The handshake of a turn integration ran after the commit.
        integration.refresh_from_db()
        secrets = integration.active_secrets(timezone.now())
        return Response(integration_json(integration) | {"secret": secrets[0] if secrets else None}, status=201)


class IntegrationView(APIView):
    @extend_schema(operation_id="get_integration", responses=answers(IntegrationSerializer, more=(404,)))
    def get(self, request: Request, slug: str) -> Response:
        return Response(integration_json(integration_of(request, slug)))

    @extend_schema(
        operation_id="update_integration",
        request=IntegrationBodySerializer(partial=True),
        responses=answers(IntegrationSerializer, more=(400, 404, 409)),
    )
    def patch(self, request: Request, slug: str) -> Response:
        integration = integration_of(request, slug)
        return Response(
            integration_json(update_integration(integration=integration, actor=actor_of(request), **values_of(request)))
        )

    @extend_schema(operation_id="delete_integration", responses=answers(None, status=204, more=(404, 409)))
    def delete(self, request: Request, slug: str) -> Response:
        integration = integration_of(request, slug, has_credentials=False)
        delete_integration(integration=integration, actor=actor_of(request))
        return Response(status=204)


class RotateSecretView(APIView):
    @extend_schema(
        operation_id="rotate_secret", request=None, responses=answers(SecretAnswerSerializer, more=(400, 404))
    )
    def post(self, request: Request, slug: str) -> Response:
        now = timezone.now()
        integration = integration_of(request, slug)
        secret = rotate_secret(integration=integration, actor=actor_of(request), now=now)
        answer = {"secret": secret, "old_secret_expires_at": now + ROTATION_OVERLAP}
        return Response(SecretAnswerSerializer(answer).data)


class TokensView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(
        operation_id="list_tokens",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(TokenSerializer, "Token"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        tokens = AccessToken.objects.filter(store_id=principal_of(request).store_id, revoked_at=None)
        return page(request, tokens, lambda token: TokenSerializer(token).data, by=("created_at", "id"))

    @extend_schema(
        operation_id="create_token",
        request=TokenBodySerializer,
        responses=answers(NewTokenSerializer, status=201, more=(400,)),
    )
    def post(self, request: Request) -> Response:
        body = body_of(request)
        if principal_of(request).only_proposes:
            raise APIError(403, "A token that may only propose cannot issue tokens: they could do more.")
        token, written = issue_token(
            store=store_of(request),
            actor=actor_of(request),
            name=text(body, "name"),
            scopes=texts(body, "scopes", default=DEFAULT_SCOPES),
            expires_at=moment(body, "expires_at"),
            addresses=texts(body, "addresses", default=[]),
        )
        return Response(TokenSerializer(token).data | {"token": written}, status=201)


class CurrentTokenView(APIView):
    """What the caller's own token may do; any valid token may ask."""

    permission_classes = []

    @extend_schema(operation_id="get_current_token", responses=answers(TokenSerializer, more=()))
    def get(self, request: Request) -> Response:
        return Response(TokenSerializer(AccessToken.objects.get(id=principal_of(request).token_id)).data)


class TokenView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(operation_id="get_token", responses=answers(TokenSerializer, more=(404,)))
    def get(self, request: Request, token_id: str) -> Response:
        return Response(TokenSerializer(self._token(request, token_id)).data)

    @extend_schema(operation_id="delete_token", responses=answers(None, status=204, more=(404,)))
    def delete(self, request: Request, token_id: str) -> Response:
        withdraw_token(token=self._token(request, token_id), actor=actor_of(request))
        return Response(status=204)

    def _token(self, request: Request, token_id: str) -> AccessToken:
        try:
            wanted = uuid.UUID(token_id)
        except ValueError:
            raise not_found("token") from None
        found = AccessToken.objects.filter(store_id=principal_of(request).store_id, revoked_at=None, id=wanted).first()
        if found is None:
            raise not_found("token")
        return found
