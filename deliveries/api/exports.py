"""What happened, as files (docs/contract.md#exports). Filters are those of the lists under `/api/v1/`."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from deliveries import exported
from deliveries.api.cases import CASE_FILTERS, cases_asked
from deliveries.api.past_events import EVENT_FILTERS, events_asked
from deliveries.api.records import RECORD_FILTERS, records_asked
from deliveries.api.views import DELIVERY_FILTERS, deliveries_asked
from deliveries.models import Attempt, BulkFix, Erasure, Recipe, Replay, SourceRequest
from integrations.api.authentication import principal_of
from integrations.api.errors import invalid
from integrations.api.exports import export_view
from integrations.api.paging import LONGEST_QUERY_TEXT, query_text
from integrations.models import Source

SOURCE = OpenApiParameter(
    "source", {"type": "string", "maxLength": LONGEST_QUERY_TEXT}, description="The slug of one source."
)


def _attempts(request: Request) -> QuerySet[Attempt]:
    """Of the deliveries that the filters choose."""
    return Attempt.objects.filter(delivery__in=deliveries_asked(request).select_related(None).order_by().values("pk"))


def _bulk_actions(request: Request) -> QuerySet[Replay]:
    return Replay.objects.filter(store_id=principal_of(request).store_id)


def _fixes(request: Request) -> QuerySet[BulkFix]:
    return BulkFix.objects.filter(store_id=principal_of(request).store_id).exclude(status=BulkFix.Status.DRAFT)


def _recipes(request: Request) -> QuerySet[Recipe]:
    return Recipe.objects.filter(store_id=principal_of(request).store_id)


def _erasures(request: Request) -> QuerySet[Erasure]:
    return Erasure.objects.filter(store_id=principal_of(request).store_id)


def _source_requests(request: Request) -> QuerySet[SourceRequest]:
    mine = SourceRequest.objects.filter(source__store_id=principal_of(request).store_id, source__deleted_at=None)
    if not (slug := query_text(request, "source")):
        return mine
    if not Source.objects.alive().filter(store_id=principal_of(request).store_id, slug=slug).exists():
        raise invalid(f"There is no source {slug[:60]!r} in this store.", "source")
    return mine.filter(source__slug=slug)


#: By the name in the path.
VIEWS = {
    "deliveries": export_view("deliveries", exported.DELIVERIES, deliveries_asked, DELIVERY_FILTERS),
    "attempts": export_view("attempts", exported.ATTEMPTS, _attempts, DELIVERY_FILTERS),
    "events": export_view("events", exported.EVENTS, events_asked, EVENT_FILTERS),
    "records": export_view("records", exported.RECORDS, records_asked, RECORD_FILTERS),
    "cases": export_view("cases", exported.CASES, cases_asked, CASE_FILTERS),
    "bulk": export_view("bulk_actions", exported.BULK_ACTIONS, _bulk_actions),
    "fixes": export_view("fixes", exported.FIXES, _fixes),
    "recipes": export_view("recipes", exported.RECIPES, _recipes),
    "erasures": export_view("erasures", exported.ERASURES, _erasures),
    "source_requests": export_view("source_requests", exported.SOURCE_REQUESTS, _source_requests, [SOURCE]),
}
