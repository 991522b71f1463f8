"""`GET /api/v1/exports/…`: lists as files (docs/contract.md#exports). Each app adds its own lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.urls import URLPattern
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.views import APIView

from integrations import exported as lists
from integrations.api.authentication import principal_of
from integrations.api.errors import invalid
from integrations.api.openapi import answers
from integrations.api.paging import query_text
from integrations.api.routes import both
from integrations.api.views import actor_of, store_of
from integrations.models import AccessToken, AuditEntry, Integration, Source
from integrations.services.exports import KINDS, ExportedList, exported

FORMAT = OpenApiParameter(
    "format", str, enum=KINDS, default=KINDS[1], description="`csv` for spreadsheets, `ndjson` for programs."
)
_FILE = {(200, "text/csv"): OpenApiTypes.STR, (200, "application/x-ndjson"): OpenApiTypes.STR}
Rows = Callable[[Request], QuerySet[Any]]


class ExportView(APIView):
    """Everything that a list of the caller's store has, in one answer.

    The desk gives files to Managers only, as they take out of Hookdesk what was pushed: so the scope is theirs.
    """

    required_scope = AccessToken.Scope.MANAGE
    http_method_names = ["get", "options"]  # a HEAD would leave the entry of an export that nobody got
    wanted: ClassVar[ExportedList]
    rows: ClassVar[Rows]

    def get(self, request: Request) -> StreamingHttpResponse:
        """The list as a file, the newest first. It leaves an audit entry."""
        kind = query_text(request, "format") if "format" in request.query_params else KINDS[1]
        if kind not in KINDS:
            raise invalid(f"format must be one of {', '.join(KINDS)}.", "format")
        filters = {name: values for name, values in request.query_params.lists() if name != "format"}
        rows = type(self).rows(request)
        return exported(
            self.wanted, rows=rows, kind=kind, filters=filters, actor=actor_of(request), store=store_of(request)
        )


def export_view(
    name: str, wanted: ExportedList, rows: Rows, parameters: Sequence[OpenApiParameter] = ()
) -> type[ExportView]:
    """The view of one list, whose `rows` are those of the caller's store that the query string chooses."""
    view = type("View", (ExportView,), {"wanted": wanted, "rows": staticmethod(rows)})
    described = extend_schema(
        operation_id=f"export_{name}",
        parameters=[FORMAT, *parameters],
        responses={code: answer for code, answer in answers(None, more=(400,)).items() if code != 200} | _FILE,
    )
    made: type[ExportView] = extend_schema_view(get=described)(view)
    return made


def export_routes(views: Mapping[str, type[ExportView]]) -> list[URLPattern]:
    """Their paths; the keys are the names in them."""
    return [
        entry for name, view in views.items() for entry in both(f"exports/{name}", view.as_view(), f"export-{name}")
    ]


def _integrations(request: Request) -> QuerySet[Integration]:
    return Integration.objects.alive().filter(store_id=principal_of(request).store_id)


def _sources(request: Request) -> QuerySet[Source]:
    return Source.objects.alive().filter(store_id=principal_of(request).store_id)


def _audit(request: Request) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(store_id=principal_of(request).store_id)


#: By the name in the path.
VIEWS = {
    "integrations": export_view("integrations", lists.INTEGRATIONS, _integrations),
    "sources": export_view("sources", lists.SOURCES, _sources),
    "audit": export_view("audit", lists.AUDIT, _audit),
}
