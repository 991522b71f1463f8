"""Saved views on the lists of deliveries and events: a filter and order that somebody keeps under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from django.urls import reverse

from deliveries.admin.changelist import FILTERS
from deliveries.models import SavedView
from deliveries.search.saved_views import NAME_LIMIT, views_for

Page = SavedView.Page
#: What a view of each list keeps of its address; not which page of rows it was.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    Page.DELIVERY.value: ("tab", *FILTERS),
    Page.EVENT.value: ("q", "o", "origin__exact"),
}
LISTS: Final = tuple(_NAMES)
_ADDRESSES: Final = {
    Page.SEARCH.value: "admin:deliveries_savedview_changelist",
    Page.DELIVERY.value: "admin:deliveries_delivery_changelist",
    Page.EVENT.value: "admin:deliveries_event_changelist",
}


def kept_query(page: str, written: str) -> str:
    """What is kept of a list's query string."""
    given, kept = QueryDict(written), QueryDict(mutable=True)
    for name in _NAMES[page]:
        if value := given.get(name, "").replace("\0", "").strip():
            kept[name] = value
    return kept.urlencode()


def address_of(page: str, query: str = "") -> str:
    address = reverse(_ADDRESSES[page])
    return f"{address}?{query}" if query else address


def saved_context(request: HttpRequest, page: str) -> dict[str, Any]:
    """The views that a list shows, and what keeping it now would keep."""
    return {
        "saved_page": page,
        "saved_views": views_for(request.user, page),
        "saved_query": kept_query(page, request.GET.urlencode()),
        "name_limit": NAME_LIMIT,
    }
