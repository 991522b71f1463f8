"""`/api/v1/erasures`: find one person's data by a value, and erase it (docs/privacy.md)."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.erasure import runner
from deliveries.erasure.matching import LONGEST
from deliveries.erasure.report import lines_of, totals_of
from deliveries.erasure.service import (
    REASON_LIMIT,
    ErasureError,
    cancel_erasure,
    confirm_erasure,
    count_first,
    start_erasure,
)
from deliveries.models import Erasure
from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, boolean, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.models import AccessToken, Store

#: A small store is answered at once; the rest goes on in the background.
SECONDS = 3.0


class ErasureBodySerializer(serializers.Serializer[Any]):
    value = serializers.CharField(max_length=LONGEST, help_text="A phone number, an e-mail address, a name.")
    match = serializers.ChoiceField(
        Erasure.Match.values,
        required=False,
        default="exact",
        help_text="`exact`: a whole value in JSON, whole words in texts. `contains`: any part.",
    )
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Count only.")
    reason = serializers.CharField(required=False, max_length=REASON_LIMIT, help_text="Without the value: it stays.")


class ConfirmBodySerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, max_length=REASON_LIMIT, help_text="Without the value: it stays.")


class PlaceSerializer(serializers.Serializer[Any]):
    place = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # the API's word
    found = serializers.IntegerField(help_text="Rows, where it was counted first.")
    erased = serializers.IntegerField()
    is_reported = serializers.BooleanField(help_text="Configuration: counted, and left to staff.")


class ErasureSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="era_…")
    status = serializers.ChoiceField(Erasure.Status.values)
    match = serializers.ChoiceField(Erasure.Match.values)
    found = serializers.IntegerField()
    erased = serializers.IntegerField()
    in_use = serializers.IntegerField(help_text="Rows that are being sent; they are tried again.")
    looked_at = serializers.IntegerField(help_text="Rows so far.")
    places = PlaceSerializer(many=True)
    reason = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField()
    approved_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def erasure_json(erasure: Erasure) -> dict[str, Any]:
    """Without the value."""
    found, erased = totals_of(erasure)
    shown = {
        "id": erasure.public_id,
        "status": erasure.status,
        "match": erasure.match,
        "found": found,
        "erased": erased,
        "in_use": erasure.postponed,
        "looked_at": erasure.looked_at,
        "places": lines_of(erasure),
        "reason": erasure.reason,
        "created_by": erasure.author_name,
        "approved_by": erasure.approved_by_name or None,
        "created_at": erasure.created_at,
        "finished_at": erasure.finished_at,
    }
    return dict(ErasureSerializer(shown).data)


def _mine(request: Request) -> QuerySet[Erasure]:
    return Erasure.objects.filter(store_id=principal_of(request).store_id).defer("value")


def _erasure(request: Request, erasure_id: str) -> Erasure:
    wanted: uuid.UUID | None = parse_public_id("era", erasure_id)
    found = wanted and _mine(request).filter(pk=wanted).first()
    if not found:
        raise not_found("erasure")
    return found


def _refused(error: ErasureError) -> APIError:
    return invalid(error.message, error.field) if error.field else APIError(409, error.message)


def _answer(erasure: Erasure) -> Response:
    runner.run_for(erasure.pk, SECONDS)
    erasure.refresh_from_db()
    return Response(erasure_json(erasure), status=202)


class ErasuresView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(
        operation_id="list_erasures",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(ErasureSerializer, "Erasure"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        return page(request, _mine(request), erasure_json, by=("created_at", "id"))

    @extend_schema(
        operation_id="start_erasure",
        request=ErasureBodySerializer,
        responses=answers(ErasureSerializer, status=202, more=(400, 409)),
    )
    def post(self, request: Request) -> Response:
        body = body_of(request)
        principal = principal_of(request)
        begin = count_first if boolean(body, "dry_run", default=False) else start_erasure
        try:
            erasure = begin(
                store=Store.objects.get(pk=principal.store_id),
                value=text(body, "value"),
                match=text(body, "match", default="exact"),
                reason=text(body, "reason", default=""),
                actor=Actor.of_principal(principal),
            )
        except ErasureError as error:
            raise _refused(error) from None
        return _answer(erasure)


class ErasureView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(operation_id="get_erasure", responses=answers(ErasureSerializer, more=(404,)))
    def get(self, request: Request, erasure_id: str) -> Response:
        return Response(erasure_json(_erasure(request, erasure_id)))


class ConfirmErasureView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(
        operation_id="confirm_erasure",
        request=ConfirmBodySerializer,
        responses=answers(ErasureSerializer, status=202, more=(400, 404, 409)),
    )
    def post(self, request: Request, erasure_id: str) -> Response:
        erasure, body = _erasure(request, erasure_id), body_of(request)
        try:
            confirmed = confirm_erasure(
                erasure=erasure,
                actor=Actor.of_principal(principal_of(request)),
                reason=text(body, "reason", default=erasure.reason),
            )
        except ErasureError as error:
            raise _refused(error) from None
        return _answer(confirmed)


class CancelErasureView(APIView):
    required_scope = AccessToken.Scope.MANAGE

    @extend_schema(operation_id="cancel_erasure", request=None, responses=answers(ErasureSerializer, more=(404, 409)))
    def post(self, request: Request, erasure_id: str) -> Response:
        try:
            cancelled = cancel_erasure(
                erasure=_erasure(request, erasure_id), actor=Actor.of_principal(principal_of(request))
            )
        except ErasureError as error:
            raise _refused(error) from None
        return Response(erasure_json(cancelled))
