"""`/api/v1/subscriptions`, which is Intercom's API (docs/contract.md#subscriptions-api)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, mapping, text
from integrations.api.errors import invalid, not_found
from integrations.api.openapi import answers
from integrations.api.views import actor_of, store_of
from integrations.foundation.identifiers import parse_public_id
from integrations.models import Integration, Secret
from subscriptions.api.serializers import (
    SubscriptionBodySerializer,
    SubscriptionListSerializer,
    SubscriptionSerializer,
    subscription_json,
)
from subscriptions.models import Subscription
from subscriptions.services import create_subscription, delete_subscription, update_subscription

#: The API's names for the model's fields.
_NAMES = {
    "topics": "topics",
    "intents": "intents",
    "path": "path",
    "filter": "filter",
    "transform": "transform",
    "parameters": "parameters",
    "ordered": "is_ordered",
    "poll_every": "poll_every",
    "active": "is_active",
    "url": "url",
    "hub_secret": "hub_secret",
}
_OUR_NAMES = {"is_ordered": "ordered", "is_active": "active", "event_names": "metadata.event_names"}


def subscription_of(request: Request, subscription_id: str, *, has_credentials: bool = True) -> Subscription:
    """With or without `nsub_`. Raises not_found, including for another store's. `has_credentials`: read them too."""
    wanted = parse_public_id("nsub", subscription_id)
    rows = Subscription.objects.alive().select_related("integration", "store")
    if not has_credentials:
        rows = rows.without_credentials().prefetch_related(
            Prefetch("integration__secrets", queryset=Secret.objects.defer("value"))
        )
    found = wanted and rows.filter(store_id=principal_of(request).store_id, id=wanted).first()
    if not found:
        raise not_found("subscription")
    return found


class SubscriptionsView(APIView):
    @extend_schema(operation_id="list_subscriptions", responses=answers(SubscriptionListSerializer, more=()))
    def get(self, request: Request) -> Response:
        rows = (
            Subscription.objects.alive()
            .filter(store_id=principal_of(request).store_id)
            .select_related("integration")
            .prefetch_related("integration__secrets")
            .order_by("-created_at", "-id")
        )
        items = [subscription_json(row, request) for row in rows]
        return Response(
            {
                "type": "notification_subscription.list",
                "items": items,
                "subscriptions": items,
                "pages": {"type": "pages", "next": None, "page": 1, "per_page": len(items), "total_pages": 1},
                "total_count": len(items),
            }
        )

    @extend_schema(
        operation_id="create_subscription",
        request=SubscriptionBodySerializer,
        responses=answers(SubscriptionSerializer, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        values = values_of(request)
        with api_names():
            subscription = create_subscription(store=store_of(request), actor=actor_of(request), **values)
        return Response(subscription_json(subscription, request))


class SubscriptionView(APIView):
    @extend_schema(operation_id="get_subscription", responses=answers(SubscriptionSerializer, more=(404,)))
    def get(self, request: Request, subscription_id: str) -> Response:
        return Response(subscription_json(subscription_of(request, subscription_id), request))

    @extend_schema(
        operation_id="update_subscription",
        request=SubscriptionBodySerializer,
        responses=answers(SubscriptionSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, subscription_id: str) -> Response:
        return self._update(request, subscription_id)

    @extend_schema(
        operation_id="put_subscription",
        request=SubscriptionBodySerializer,
        responses=answers(SubscriptionSerializer, more=(400, 404, 409)),
    )
    def put(self, request: Request, subscription_id: str) -> Response:
        return self._update(request, subscription_id)

    @extend_schema(
        operation_id="patch_subscription",
        request=SubscriptionBodySerializer,
        responses=answers(SubscriptionSerializer, more=(400, 404, 409)),
    )
    def patch(self, request: Request, subscription_id: str) -> Response:
        return self._update(request, subscription_id)

    @extend_schema(operation_id="delete_subscription", responses=answers(SubscriptionSerializer, more=(404, 409)))
    def delete(self, request: Request, subscription_id: str) -> Response:
        subscription = subscription_of(request, subscription_id, has_credentials=False)
        answer = subscription_json(subscription, request) | {"active": False}
        delete_subscription(subscription=subscription, actor=actor_of(request))
        return Response(answer)

    def _update(self, request: Request, subscription_id: str) -> Response:
        """Intercom's clients POST or PUT what changed; all three change what is given and nothing else."""
        subscription = subscription_of(request, subscription_id)
        values = values_of(request)
        with api_names():
            subscription = update_subscription(subscription=subscription, actor=actor_of(request), **values)
        return Response(subscription_json(subscription, request))


class api_names:  # noqa: N801 - reads as a statement
    """Errors under the names that the API uses."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            renamed = {_OUR_NAMES.get(field, field): found for field, found in error.error_dict.items()}
            raise ValidationError(renamed) from None


def values_of(request: Request) -> dict[str, Any]:
    """The body's fields under the model's names. What a client only sends back (id, links, …) is ignored."""
    body = body_of(request)
    values = {ours: body[theirs] for theirs, ours in _NAMES.items() if theirs in body}
    if text(body, "service_type", default="web") != "web":
        raise invalid("service_type can only be web.", "service_type")
    if "metadata" in body:
        values["event_names"] = mapping(body, "metadata", default={}).get("event_names")
    if body.get("integration") is not None:
        values["integration"] = _integration(request, text(body, "integration"))
    return values


def _integration(request: Request, slug: str) -> Integration:
    found = Integration.objects.alive().filter(store_id=principal_of(request).store_id, slug=slug).first()
    if found is None:
        raise invalid(f"There is no integration {slug[:100]!r} in this store.", "integration")
    return found
