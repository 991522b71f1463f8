"""`/api/v1/records`: the last known state of what was pushed (docs/contract.md#records)."""

from __future__ import annotations

from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.serializers import RecordSerializer
from deliveries.filters import FilterError, moment_of
from deliveries.models import Record
from integrations.api.authentication import principal_of
from integrations.api.errors import invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import LONGEST_QUERY_TEXT, page, query_text

_TEXT = {"type": "string", "maxLength": LONGEST_QUERY_TEXT}
RECORD_FILTERS = [
    OpenApiParameter("type", _TEXT, description="Singular: shipment. An empty value, here and below, is ignored."),
    OpenApiParameter("id", _TEXT, description="The id that it was pushed with."),
    OpenApiParameter("since", _TEXT, description="Changed then or later: ISO 8601."),
    OpenApiParameter("until", _TEXT, description="Changed before: ISO 8601."),
]


def records_asked(request: Request) -> QuerySet[Record]:
    """Those that the filters of the query string choose. Raises parameter_invalid."""
    # The condition of the index `record_newest`, word for word: SQLite does not use a partial index otherwise.
    indexed = RawSQL("deliveries_record.version > 0", [], output_field=BooleanField())
    rows = Record.objects.filter(indexed, store_id=principal_of(request).store_id)
    if record_type := query_text(request, "type"):
        rows = rows.filter(type=record_type)
    if query_text(request, "id"):
        rows = rows.filter(external_id=request.query_params["id"])  # with the blanks that an id may begin with
    for name, lookup in (("since", "updated_at__gte"), ("until", "updated_at__lt")):
        if written := query_text(request, name):
            try:
                rows = rows.filter(**{lookup: moment_of(name, written)})
            except FilterError as error:
                raise invalid(error.message, error.field) from None
    return rows


class RecordsView(APIView):
    @extend_schema(
        operation_id="list_records",
        parameters=[*RECORD_FILTERS, CURSOR, LIMIT],
        responses=answers(page_of(RecordSerializer, "Record"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        """The one that changed last comes first."""
        return page(request, records_asked(request), RecordSerializer().to_representation, by=("updated_at", "id"))


class RecordView(APIView):
    @extend_schema(operation_id="get_record", responses=answers(RecordSerializer, more=(404,)))
    def get(self, request: Request, record_type: str, record_id: str) -> Response:
        """An id may have any characters, slashes too: percent-encode it."""
        found = _named(request, record_type, record_id)
        # The path may end with a slash that is not the id's; an id that ends with one comes first.
        if found is None and record_id.endswith("/"):
            found = _named(request, record_type, record_id[:-1])
        if found is None:
            raise not_found("record")
        return Response(RecordSerializer(found).data)


def _named(request: Request, record_type: str, record_id: str) -> Record | None:
    if "\0" in record_type or "\0" in record_id:
        return None
    mine = Record.objects.filter(store_id=principal_of(request).store_id, version__gt=0)
    return mine.filter(type=record_type, external_id=record_id).first()
