"""`GET /api/v1/sources/{slug}/requests`: the last requests that a source got (docs/contract.md#sources)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.serializers import HeadersField
from deliveries.models import SourceRequest
from integrations.api.fields import TextOfRowField, TextOrNullField
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.api.sources import source_of


class SourceRequestSerializer(serializers.Serializer[Any]):
    received_at = serializers.DateTimeField()
    verdict = serializers.ChoiceField(SourceRequest.Verdict.values)
    reason = TextOrNullField(help_text="Why it was not accepted.")
    status = serializers.IntegerField(help_text="What the sender was answered.")
    method = serializers.CharField()
    query = serializers.DictField(child=serializers.CharField())
    headers = HeadersField(help_text="Those that carry credentials are masked.")
    body = TextOfRowField(lambda row: row.body_text, help_text="Decompressed; the first 64 KB.")
    body_size = serializers.IntegerField()
    events = serializers.ListField(child=serializers.CharField(), help_text="Ids of the events that it became.")


class SourceRequestsView(APIView):
    @extend_schema(
        operation_id="list_source_requests",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(SourceRequestSerializer, "SourceRequest"), more=(400, 404)),
    )
    def get(self, request: Request, slug: str) -> Response:
        rows = SourceRequest.objects.filter(source=source_of(request, slug))
        return page(request, rows, SourceRequestSerializer().to_representation)
