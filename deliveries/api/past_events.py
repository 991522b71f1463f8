"""`/api/v1/events` to read: list, explain, deliver to another subscription (docs/contract.md#past-events)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.approvals import PROPOSED, proposed
from deliveries.api.serializers import DeliverySerializer, ListedEventSerializer
from deliveries.explaining.event import Line, explain_event
from deliveries.explaining.lists import containing, undelivered
from deliveries.filters import FilterError, moment_of
from deliveries.models import Delivery, Event
from deliveries.proposals import propose_delivery
from deliveries.replay import ReplayError
from deliveries.replay.backfill import deliver_event
from deliveries.resolution import ResolutionError
from integrations.api.authentication import principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import LONGEST_QUERY_TEXT, page, query_text
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import first_id_at, parse_public_id, public_id
from integrations.models import AccessToken
from subscriptions.models import Subscription

#: A search in the data, or for what nobody got, looks this far back, if nothing else is asked for.
DEFAULT_PERIOD = timedelta(days=1)
LONGEST_PERIOD = timedelta(days=31)

_TEXT = {"type": "string", "maxLength": LONGEST_QUERY_TEXT}
EVENT_FILTERS = [
    OpenApiParameter("topic", _TEXT, description="A topic, an intent, or shipment.*"),
    OpenApiParameter("object", _TEXT, description="The id of an object."),
    OpenApiParameter("contains", _TEXT, description="A text in the data, such as a phone number."),
    OpenApiParameter(
        "delivered", {"type": "string", "enum": ["false"]}, description="false: only events that nobody got."
    ),
    OpenApiParameter("since", _TEXT, description="ISO 8601, inclusive."),
    OpenApiParameter("until", _TEXT, description="ISO 8601, exclusive."),
]


class ExplanationSerializer(serializers.Serializer[Any]):
    subscription = serializers.CharField()
    integration = serializers.CharField()
    reason = serializers.CharField(
        help_text="delivered, topic, intent, event_name, filter, inactive, deleted, made_later, unknown, own_answer, "
        "loop, test, gone or too_dear"
    )
    message = serializers.CharField()
    certain = serializers.BooleanField(help_text="False if the subscription has changed since and was not kept.")
    delivery = serializers.CharField(allow_null=True)
    status = serializers.CharField(allow_null=True, help_text="Of the delivery.")


class ExplanationsSerializer(serializers.Serializer[Any]):
    items = ExplanationSerializer(many=True)


class DeliverBodySerializer(serializers.Serializer[Any]):
    subscription = serializers.CharField(help_text="nsub_…")
    again = serializers.BooleanField(required=False, help_text="Even if it got this event before.")
    reason = serializers.CharField(required=False)
    propose = serializers.BooleanField(required=False, default=False, help_text="A person is to approve it first.")


def event_of(request: Request, event_id: str) -> Event:
    wanted = parse_public_id("evt", event_id)
    found = wanted and Event.objects.select_related("store").filter(
        store_id=principal_of(request).store_id, id=wanted
    ).first()  # fmt: skip
    if not found:
        raise not_found("event")
    return found


def subscription_named(request: Request, written: str) -> Subscription:
    """Of the caller's store, without credentials. Raises parameter_invalid."""
    wanted = parse_public_id("nsub", written)
    rows = Subscription.objects.alive().without_credentials().select_related("integration", "store")
    found = wanted and rows.filter(store_id=principal_of(request).store_id, id=wanted).first()
    if not found:
        raise invalid(f"There is no subscription {written[:100]!r} in this store.", "subscription")
    return found


class EventsList:
    """`GET` of a view that also takes events."""

    @extend_schema(
        operation_id="list_events",
        parameters=[*EVENT_FILTERS, CURSOR, LIMIT],
        responses=answers(page_of(ListedEventSerializer, "Event"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        return page(request, events_asked(request), ListedEventSerializer().to_representation)


def events_asked(request: Request) -> QuerySet[Event]:
    """Those that the filters of the query string choose. Raises parameter_invalid."""
    rows = Event.objects.filter(store_id=principal_of(request).store_id).exclude(origin=Event.Origin.TEST)
    names = ("topic", "object", "contains", "delivered", "since", "until")
    given = {name: query_text(request, name) for name in names}
    if given["delivered"] not in ("", "false"):
        raise invalid("delivered can only be false.", "delivered")
    rows = _in_period(rows, given)
    if topic := given["topic"]:
        rows = (
            rows.filter(topic__startswith=topic[:-1])
            if topic.endswith(".*")
            else rows.filter(topic=topic) | rows.filter(intent=topic)
        )
    if given["object"]:
        rows = rows.filter(object_id=given["object"])
    if given["contains"]:
        rows = containing(rows, given["contains"])
    if given["delivered"]:
        rows = undelivered(rows)
    return rows


def _in_period(rows: Any, given: dict[str, str]) -> Any:
    try:
        since = moment_of("since", given["since"]) if given["since"] else None
        until = moment_of("until", given["until"]) if given["until"] else None
    except FilterError as error:
        raise invalid(error.message, error.field) from None
    if given["contains"] or given["delivered"]:
        end = until or timezone.now()
        since = since or end - DEFAULT_PERIOD
        if end - since > LONGEST_PERIOD:
            raise invalid("With contains or delivered, the period may have 31 days at most.", "since")
    if since is not None:
        rows = rows.filter(id__gte=first_id_at(since))
    return rows if until is None else rows.filter(id__lt=first_id_at(until))


class ExplainView(APIView):
    @extend_schema(operation_id="explain_event", responses=answers(ExplanationsSerializer, more=(404,)))
    def get(self, request: Request, event_id: str) -> Response:
        return Response({"items": [_line(line) for line in explain_event(event_of(request, event_id))]})


def _line(line: Line) -> dict[str, Any]:
    return {
        "subscription": public_id("nsub", line.subscription.pk),
        "integration": line.subscription.integration.slug,
        "reason": line.code,
        "message": line.text,
        "certain": line.is_certain,
        "delivery": None if line.delivery is None else line.delivery.public_id,
        "status": None if line.delivery is None else line.delivery.status,
    }


class DeliverView(APIView):
    change_scope = AccessToken.Scope.RESOLVE
    is_proposable = True

    @extend_schema(
        operation_id="deliver_event",
        request=DeliverBodySerializer,
        responses=answers(DeliverySerializer, more=(400, 404, 409)) | PROPOSED,
    )
    def post(self, request: Request, event_id: str) -> Response:
        """202 and an approval, if it was proposed."""
        event, body = event_of(request, event_id), body_of(request)
        arguments: dict[str, Any] = {
            "event": event,
            "subscription": subscription_named(request, text(body, "subscription")),
            "actor": Actor.of_principal(principal_of(request)),
            "reason": text(body, "reason", default=""),
            "is_again": boolean(body, "again", default=False),
        }
        try:
            if wants_proposal(request, body):
                return proposed(propose_delivery(**arguments))
            made = deliver_event(**arguments)
        except ReplayError as error:
            raise APIError(409, str(error)) from None
        except ResolutionError as error:
            raise APIError(409, error.message) from None
        found = Delivery.objects.select_related("event", "integration").get(pk=made.pk)
        return Response(DeliverySerializer(found).data)
