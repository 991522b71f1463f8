"""`/api/v1/deliveries`: what happened, and the resolution wizard for programs (docs/contract.md#deliveries)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.approvals import PROPOSED, proposed
from deliveries.api.serializers import (
    RESOLVE_ACTIONS,
    AttemptSerializer,
    DeliverySerializer,
    ResolveBodySerializer,
    RevisionSerializer,
    WholeEventSerializer,
)
from deliveries.explaining.made_by import MadeBy
from deliveries.failures.cases import case_of
from deliveries.filters import FilterError, apply_filters
from deliveries.models import Attempt, Delivery, Event
from deliveries.proposals import propose_discard, propose_edit, propose_retry
from deliveries.resolution import (
    ResolutionError,
    discard_delivery,
    edit_delivery,
    release_hold,
    retry_delivery,
    wait_for_source,
)
from deliveries.results.under_way import attempt_under_way
from integrations.api.authentication import principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, mapping, text
from integrations.api.errors import APIError, invalid, missing, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import LONGEST_QUERY_TEXT, page, query_text
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.models import AccessToken

FILTERS = ("status", "integration", "subscription", "topic", "case", "since", "until", "q")
ORDERS = ("asc", "desc")
_BY_STAFF = {"wait": wait_for_source, "release": release_hold}
_STATUS = f"({'|'.join(Delivery.Status.values)})"
_TEXT = {"type": "string", "maxLength": LONGEST_QUERY_TEXT}
DELIVERY_FILTERS = [
    OpenApiParameter(
        "status",
        {"type": "string", "pattern": f"^{_STATUS}(,{_STATUS})*$", "maxLength": LONGEST_QUERY_TEXT},
        description="One or several, comma-separated.",
    ),
    OpenApiParameter("integration", _TEXT, description="A slug. An empty value, here and below, is ignored."),
    OpenApiParameter("subscription", _TEXT, description="nsub_…"),
    OpenApiParameter("topic", _TEXT, description="A topic, an intent, or shipment.*"),
    OpenApiParameter("case", _TEXT, description="case_…: what fails, or failed last, with this cause."),
    OpenApiParameter("since", _TEXT, description="ISO 8601, inclusive."),
    OpenApiParameter("until", _TEXT, description="ISO 8601, exclusive."),
    OpenApiParameter("q", _TEXT, description="An id of a delivery, event, request or object, or the start of a topic."),
]


def delivery_of(request: Request, delivery_id: str) -> Delivery:
    """By `dlv_…` or the request id. Raises not_found, including for another store's."""
    wanted = parse_public_id("dlv", delivery_id)
    found = wanted and (
        Delivery.objects.select_related("event", "integration", "store")
        .filter(store_id=principal_of(request).store_id, id=wanted)
        .first()
    )
    if not found:
        raise not_found("delivery")
    return found


class EventView(APIView):
    @extend_schema(operation_id="get_event", responses=answers(WholeEventSerializer, more=(404,)))
    def get(self, request: Request, event_id: str) -> Response:
        wanted = parse_public_id("evt", event_id)
        found = wanted and Event.objects.filter(store_id=principal_of(request).store_id, id=wanted).first()
        if not found:
            raise not_found("event")
        return Response(WholeEventSerializer(found).data)


class DeliveriesView(APIView):
    @extend_schema(
        operation_id="list_deliveries",
        parameters=[*DELIVERY_FILTERS, CURSOR, LIMIT],
        responses=answers(page_of(DeliverySerializer, "Delivery"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        rows = deliveries_asked(request).select_related("event", "integration")
        return page(request, rows, DeliverySerializer().to_representation)


def deliveries_asked(request: Request) -> QuerySet[Delivery]:
    """Those that the filters of the query string choose. Raises parameter_invalid."""
    filters: dict[str, Any] = {name: query_text(request, name) for name in FILTERS}
    if "status" in request.query_params and not filters["status"]:
        raise invalid(f"status must be one or more of {', '.join(Delivery.Status.values)}.", "status")
    store_id = principal_of(request).store_id
    filters["group"] = _case(filters.pop("case"), store_id)
    try:
        return apply_filters(Delivery.objects.filter(store_id=store_id), filters | {"store": store_id})
    except FilterError as error:
        raise invalid(error.message, error.field) from None


def _case(written: str, store_id: uuid.UUID) -> str:
    """The number that the filter of deliveries takes. Raises parameter_invalid, including for another store's."""
    if not written:
        return ""
    found = case_of(written.removeprefix("case_")[:18])
    if found is None or found.store_id != store_id:
        raise invalid(f"There is no case {written[:60]!r} in this store.", "case")
    return str(found.pk)


class DeliveryView(APIView):
    @extend_schema(operation_id="get_delivery", responses=answers(DeliverySerializer, more=(404,)))
    def get(self, request: Request, delivery_id: str) -> Response:
        return Response(DeliverySerializer(delivery_of(request, delivery_id)).data)


class AttemptsView(APIView):
    @extend_schema(
        operation_id="list_attempts",
        parameters=[
            OpenApiParameter(
                "order", str, enum=ORDERS, description="`desc`: the newest first, without the one that is under way."
            ),
            CURSOR,
            LIMIT,
        ],
        responses=answers(page_of(AttemptSerializer, "Attempt")),
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        delivery = delivery_of(request, delivery_id)
        rows = Attempt.objects.filter(delivery=delivery)
        rows = rows.select_related("delivery__integration", "delivery__subscription")
        made_by = MadeBy(delivery.subscription_id)
        show = AttemptSerializer(context={"made_by": made_by}).to_representation
        order = query_text(request, "order") if "order" in request.query_params else "asc"
        if order not in ORDERS:
            raise invalid(f"order must be one of {', '.join(ORDERS)}.", "order")
        if order == "desc":
            return page(request, rows, show, by=("number",))
        return page(request, rows, show, by=("number",), is_descending=False, last=attempt_under_way(delivery))


class RevisionsView(APIView):
    @extend_schema(
        operation_id="list_revisions",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(RevisionSerializer, "Revision"), more=(400, 404)),
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        rows = delivery_of(request, delivery_id).revisions.all()
        return page(request, rows, RevisionSerializer().to_representation, by=("number",), is_descending=False)


class ResolveView(APIView):
    change_scope = AccessToken.Scope.RESOLVE
    is_proposable = True

    @extend_schema(
        operation_id="resolve_delivery",
        request=ResolveBodySerializer,
        responses=answers(DeliverySerializer, more=(400, 404, 409)) | PROPOSED,
    )
    def post(self, request: Request, delivery_id: str) -> Response:
        """202 and an approval, if it was proposed."""
        delivery, body = delivery_of(request, delivery_id), body_of(request)
        is_proposal = wants_proposal(request, body)
        try:
            made = _resolve(delivery, body, Actor.of_principal(principal_of(request)), is_proposal=is_proposal)
        except ResolutionError as error:
            raise as_api_error(error) from None
        if is_proposal:
            return proposed(made)
        return Response(DeliverySerializer(delivery_of(request, delivery_id)).data)


def _resolve(delivery: Delivery, body: dict[str, Any], actor: Actor, *, is_proposal: bool) -> Any:
    """What the service answers: the proposal, if it is one."""
    action, reason = text(body, "action"), text(body, "reason", default="")
    if action == "retry":
        retry = propose_retry if is_proposal else retry_delivery
        return retry(delivery=delivery, actor=actor, reason=reason)
    if action == "discard":
        discard = propose_discard if is_proposal else discard_delivery
        return discard(delivery=delivery, actor=actor, reason=reason)
    if action in _BY_STAFF and not is_proposal:
        return _BY_STAFF[action](delivery=delivery, actor=actor, reason=reason)
    if action in _BY_STAFF:
        raise invalid(f"{action} cannot be proposed. Propose an edit, a retry or a discard.", "action")
    if action != "edit":
        raise invalid(f"action must be one of {', '.join(RESOLVE_ACTIONS)}.", "action")
    if "payload" not in body:
        raise missing("payload", "payload is required with edit: the complete corrected data.")
    edit = propose_edit if is_proposal else edit_delivery
    return edit(
        delivery=delivery,
        payload=mapping(body, "payload"),
        actor=actor,
        reason=reason,
        update_record=boolean(body, "update_record", default=False),
    )


def as_api_error(error: ResolutionError) -> APIError:
    if error.code == "reason_required":
        return missing("reason", error.message)
    if error.code in ("invalid", "too_many"):
        path = f".{error.path}" if error.path and not error.path.startswith("[") else error.path or ""
        return invalid(error.message, f"payload{path}")
    return APIError(409, error.message)
