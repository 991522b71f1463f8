"""The first page: is anything wrong, and if nothing is set up yet, what comes next."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from deliveries import stats
from deliveries.models import Delivery, Event, FailureGroup
from deliveries.visibility import sees_all, stores_for
from integrations.models import AccessToken, Integration, Store
from subscriptions.models import Subscription

WINDOW_LABELS = {"1h": "1 h", "24h": "24 h", "7d": "7 d"}
WINDOW_TITLES = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days"}


def dashboard_context(request: HttpRequest) -> dict[str, Any]:
    now = timezone.now()
    window = request.GET.get("window", "24h")
    window = window if window in stats.WINDOWS else "24h"
    stores = list(stores_for(request.user).order_by("name")[:200])
    chosen = next((store for store in stores if str(store.id) == request.GET.get("store")), None)
    steps = setup_steps(stores)
    context: dict[str, Any] = {
        "heartbeat": stats.heartbeat(now),
        "window": window,
        "window_title": WINDOW_TITLES[window],
        "windows": WINDOW_LABELS.items(),
        "stores": stores,
        "chosen_store": chosen,
        "steps": steps,
    }
    if steps:
        return {**context, "public_url": request.build_absolute_uri("/").rstrip("/")}
    return {**context, **_numbers(request, window, now, _scope(request, stores, chosen))}


def _scope(request: HttpRequest, stores: list[Store], chosen: Store | None) -> list[uuid.UUID] | None:
    """The stores to look at; None for all of them, which needs no filter."""
    if chosen:
        return [chosen.id]
    return None if sees_all(request.user) else [store.id for store in stores]


def _numbers(request: HttpRequest, window: str, now: Any, scope: list[uuid.UUID] | None) -> dict[str, Any]:
    wanted = None
    if scope is not None:
        wanted = list(Integration.objects.filter(store_id__in=scope).values_list("id", flat=True))
    through = stats.throughput(window=window, now=now, integrations=wanted)
    failing = stats.in_failing_index(Delivery.objects.failing())
    failing = failing if scope is None else failing.filter(store_id__in=scope)
    rows = stats.integration_rows(scope)
    for row in rows:
        row.series = through.of(row.pk)  # type: ignore[attr-defined]
    return {
        "total": through.total,
        "failing_now": stats.shown_count(stats.capped_count(failing)),
        "groups": stats.open_groups(scope),
        "disabled": [row for row in rows if not row.is_enabled],
        "integrations": rows,
    }


def open_group_count(request: HttpRequest) -> str:
    groups = FailureGroup.objects.filter(status=FailureGroup.Status.OPEN)
    if not sees_all(request.user):
        groups = groups.filter(store__in=stores_for(request.user))
    number = stats.capped_count(groups, 99)
    return stats.shown_count(number, 99) if number else ""


@dataclass(frozen=True)
class Step:
    """One item of the checklist; `name` chooses its text in the template."""

    name: str
    is_done: bool


def setup_steps(stores: list[Store]) -> list[Step]:
    """What is set up and what is not; empty once something was pushed for a subscription."""
    ids = [store.id for store in stores]
    if Delivery.objects.filter(store_id__in=ids).exists() if len(ids) <= 50 else True:
        return []
    integrations = Integration.objects.alive().filter(store_id__in=ids)
    return [
        Step("store", bool(stores)),
        Step("token", AccessToken.objects.filter(store_id__in=ids, revoked_at=None).exists()),
        Step("integration", integrations.exists()),
        Step("subscription", Subscription.objects.alive().filter(store_id__in=ids).exists()),
        Step("push", Event.objects.filter(store_id__in=ids).exists()),
    ]
