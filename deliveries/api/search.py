"""`/api/v1/search`: one search over deliveries, events and records (docs/contract.md#search)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.filters import FilterError, moment_of
from deliveries.models import Delivery
from deliveries.search.finding import KINDS, Kind, Query, Search
from deliveries.search.matches import lines_found
from deliveries.search.matching import Scope
from integrations.api.authentication import principal_of
from integrations.api.errors import invalid, missing
from integrations.api.openapi import CURSOR, LIMIT, PagesSerializer, answers
from integrations.api.paging import LONGEST_QUERY_TEXT, limit_of, query_text
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.models import Integration

_TEXT: Final = {"type": "string", "maxLength": LONGEST_QUERY_TEXT}
_KIND: Final = f"({'|'.join(KINDS)})"
_STATUS: Final = f"({'|'.join(Delivery.Status.values)})"
_PARAMETERS: Final = [
    OpenApiParameter(
        "q", _TEXT | {"minLength": 1}, required=True, description="Words, all of them required; also path:value."
    ),
    OpenApiParameter(
        "kind", _TEXT | {"pattern": f"^({_KIND}(,{_KIND})*)?$"}, description="One or several, comma-separated; all."
    ),
    OpenApiParameter("topic", _TEXT, description="A topic, an intent, or shipment.*"),
    OpenApiParameter(
        "status", _TEXT | {"pattern": f"^({_STATUS}(,{_STATUS})*)?$"},
        description="Of deliveries; one or several, comma-separated. Nothing else is found then.",
    ),
    OpenApiParameter("integration", _TEXT, description="A slug. Only deliveries are found then."),
    OpenApiParameter("since", _TEXT, description="When the event was received, or the record last changed. ISO 8601."),
    OpenApiParameter("until", _TEXT, description="ISO 8601, exclusive."),
]  # fmt: skip
#: What each kind is ordered by, newest first, and its unique key.
_ORDER: Final[dict[Kind, str]] = {"delivery": "created_at", "event": "created_at", "record": "updated_at"}
_FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    "delivery": ("event__data", "integration__token", "integration__parameters"),
    "event": ("data",),
    "record": ("data",),
}

#: Where a page begins: time, kind, key.
Position = tuple[datetime, str, str]


class FoundObjectSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    id = serializers.CharField()


class FoundSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="delivery, event or record.")
    id = serializers.CharField(help_text="dlv_…, evt_…, or `type/id` of a record.")
    topic = serializers.CharField(help_text="Topic or intent; of a record, its type.")
    object = FoundObjectSerializer(allow_null=True)
    status = serializers.CharField(allow_null=True, help_text="Of a delivery.")
    integration = serializers.CharField(allow_null=True, help_text="Of a delivery.")
    match = serializers.CharField(allow_null=True, help_text="`path:value` in which it was found, in lower case.")
    at = serializers.DateTimeField(help_text="When it was created; a record, when it was last changed.")


class TotalSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="delivery, event or record.")
    number = serializers.IntegerField()
    is_exact = serializers.BooleanField(help_text="False: there are more.")


class FoundPageSerializer(serializers.Serializer[Any]):
    items = FoundSerializer(many=True)
    totals = TotalSerializer(many=True)
    notes = serializers.ListField(child=serializers.CharField(), help_text="Why something may be missing.")
    pages = PagesSerializer()


class SearchView(APIView):
    @extend_schema(
        operation_id="search",
        parameters=[*_PARAMETERS, CURSOR, LIMIT],
        responses=answers(FoundPageSerializer, more=(400,)),
    )
    def get(self, request: Request) -> Response:
        limit, after = limit_of(request), _position(query_text(request, "cursor"))
        kinds, query = _kinds(request), _query(request)
        search = Search(query, timezone.now())
        if not search.words:
            raise missing("q", "q is required: the words to search for.")
        found = sorted(
            (pair for kind in kinds for pair in _newest(kind, search.rows(kind), after, limit + 1)), reverse=True
        )
        shown = found[:limit]
        totals = [(kind, search.total(kind)) for kind in kinds]
        return Response(
            {
                "items": _items(search, shown),
                "totals": [{"kind": kind, "number": one.number, "is_exact": one.is_exact} for kind, one in totals],
                "notes": search.notes(kinds),
                "pages": {"next": _next(request, shown[-1]) if len(found) > limit else None},
            }
        )


def _kinds(request: Request) -> list[Kind]:
    wanted = [word.strip() for word in query_text(request, "kind").split(",") if word.strip()]
    if unknown := set(wanted) - set(KINDS):
        raise invalid(f"Unknown kind {min(unknown)!r}. There are {', '.join(KINDS)}.", "kind")
    if query_text(request, "status") or query_text(request, "integration"):
        return ["delivery"]
    return [kind for kind in KINDS if not wanted or kind in wanted]


def _query(request: Request) -> Query:
    given = {name: query_text(request, name) for name in ("q", "topic", "status", "integration", "since", "until")}
    if not given["q"]:
        raise missing("q", "q is required: the words to search for.")
    statuses = tuple(word.strip() for word in given["status"].split(",") if word.strip())
    if unknown := set(statuses) - set(Delivery.Status.values):
        raise invalid(f"Unknown status {min(unknown)!r}.", "status")
    store_id = principal_of(request).store_id
    try:
        since, until = (moment_of(name, given[name]) if given[name] else None for name in ("since", "until"))
    except FilterError as error:
        raise invalid(error.message, error.field) from None
    integration = None
    if slug := given["integration"]:
        integration = Integration.objects.filter(store_id=store_id, slug=slug).values_list("pk", flat=True).first()
        if integration is None:
            raise invalid(f"Unknown integration {slug[:100]!r}.", "integration")
    return Query(given["q"], Scope([store_id], since, until, given["topic"]), statuses, integration)


def _newest(kind: Kind, rows: QuerySet[Any], after: Position | None, limit: int) -> list[Position]:
    """The positions of the newest behind `after`, the order of kinds and keys being that of their texts."""
    field = _ORDER[kind]
    if after is not None:
        moment, named, key = after
        same = Q(pk__lt=key) if named == kind else Q() if kind < named else Q(pk__in=[])
        rows = rows.filter(Q(**{f"{field}__lt": moment}) | (Q(**{field: moment}) & same))
    pairs = rows.order_by(F(field).desc(), "-pk").values_list(field, "pk")[:limit]
    return [(at, kind, f"{pk:020d}" if isinstance(pk, int) else str(pk)) for at, pk in pairs]


def _position(cursor: str) -> Position | None:
    if not cursor:
        return None
    try:
        at, kind, key = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not 1970 < moment.year < 9000 or kind not in KINDS:
            raise ValueError(cursor)
        if kind == "record":
            key = str(int(key)) if key.isascii() and key.isdecimal() and len(key) <= 20 and int(key) < 2**63 else ""
        elif parse_public_id("", key) is None:
            key = ""
        if not key:
            raise ValueError(cursor)
    except (ValueError, binascii.Error, UnicodeError):
        raise invalid("Invalid cursor. Start again without it.", "cursor") from None
    return moment, kind, key


def _next(request: Request, last: Position) -> str:
    at, kind, key = last
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(f"{at.isoformat()} {kind} {key}".encode()).decode().rstrip("=")
    return f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"


def _items(search: Search, positions: Sequence[Position]) -> list[dict[str, Any]]:
    shown: dict[tuple[str, str], dict[str, Any]] = {}
    for kind in KINDS:
        keys = [key for _, of, key in positions if of == kind]
        related = ("event", "integration") if kind == "delivery" else ()
        rows = (
            list(search.rows(kind).filter(pk__in=keys).select_related(*related).defer(*_FIELDS[kind])) if keys else []
        )
        lines = lines_found(kind, rows, search.words)
        for row in rows:
            key = f"{row.pk:020d}" if kind == "record" else str(row.pk)
            shown[kind, key] = _item(kind, row, lines.get(row.pk))
    return [shown[kind, key] for _, kind, key in positions if (kind, key) in shown]


def _item(kind: Kind, row: Any, line: str | None) -> dict[str, Any]:
    item = {"kind": kind, "status": None, "integration": None, "match": line, "at": getattr(row, _ORDER[kind])}
    if kind == "record":
        mine = {"type": row.type, "id": row.external_id}
        return item | {"id": f"{row.type}/{row.external_id}", "topic": row.type, "object": mine}
    event = row.event if kind == "delivery" else row
    about = {"type": event.object_type, "id": event.object_id} if event.object_id else None
    if kind == "delivery":
        item |= {"status": row.status, "integration": row.integration.slug}
    name = public_id("dlv" if kind == "delivery" else "evt", row.pk)
    return item | {"id": name, "topic": event.topic or event.intent, "object": about}
