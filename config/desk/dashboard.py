"""The dashboard: is anything wrong, and if nothing is set up yet, what to do next."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.desk.inbox import Inbox
from deliveries.access import stores_for, visible_to
from deliveries.models import Delivery, Event, FailureGroup
from deliveries.stats import queries
from integrations.models import AccessToken, Integration, Store
from integrations.security.staff import visible_store_ids
from subscriptions.models import Subscription

WINDOW_LABELS = {"1h": _("1 h"), "24h": _("24 h"), "7d": _("7 d")}
#: How many integrations that reject everything are named at the top.
REFUSING_NAMED = 3
WINDOW_TITLES = {"1h": _("Last hour"), "24h": _("Last 24 hours"), "7d": _("Last 7 days")}


@dataclass(frozen=True)
class Parts:
    """Which parts of the page a person may see. The others are not queried."""

    figures: bool
    failures: bool
    integrations: bool
    stores: bool

    @classmethod
    def of(cls, user: Any) -> Parts:
        return cls(
            figures=user.has_perm("deliveries.view_delivery"),
            failures=user.has_perm("deliveries.view_failuregroup"),
            integrations=user.has_perm("integrations.view_integration"),
            stores=user.has_perm("integrations.view_store"),
        )

    @property
    def any(self) -> bool:
        return self.figures or self.failures or self.integrations


def dashboard_context(request: HttpRequest) -> dict[str, Any]:
    parts = Parts.of(request.user)
    if not parts.any:
        return {"parts": parts, "has_no_role": not request.user.get_all_permissions()}
    now = timezone.now()
    window = request.GET.get("window", "24h")
    window = window if window in WINDOW_LABELS else "24h"
    stores = list(stores_for(request.user).order_by("name")[:200]) if parts.stores else []
    chosen = next((store for store in stores if str(store.id) == request.GET.get("store")), None)
    steps = setup_steps(stores) if parts.figures and parts.integrations and parts.stores else []
    context: dict[str, Any] = {
        "parts": parts,
        "inbox": Inbox.of(request.user),
        "heartbeat": visible_heartbeat(request),
        "window": window,
        "window_title": WINDOW_TITLES[window],
        "windows": WINDOW_LABELS.items(),
        "stores": stores,
        "chosen_store": chosen,
        "steps": steps,
    }
    if steps:
        return {**context, "public_url": request.build_absolute_uri("/").rstrip("/")}
    return {**context, **_numbers(window, now, [chosen.id] if chosen else visible_store_ids(request.user), parts)}


def visible_heartbeat(request: HttpRequest) -> queries.EngineHealth | None:
    """None for people who may not see deliveries: the queue's age says something about deliveries."""
    if not request.user.has_perm("deliveries.view_delivery"):
        return None
    return queries.engine_health(timezone.now(), visible_store_ids(request.user))


def _numbers(window: str, now: datetime, scope: list[uuid.UUID] | None, parts: Parts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    through = None
    if parts.figures:
        wanted = None
        if scope is not None:
            wanted = list(Integration.objects.filter(store_id__in=scope).values_list("id", flat=True))
        through = queries.throughput(window=window, now=now, integrations=wanted)
        failing = queries.in_failing_index(Delivery.objects.failing())
        failing = failing if scope is None else failing.filter(store_id__in=scope)
        number = queries.capped_count(failing)
        found |= {"total": through.total, "failing_now": queries.shown_count(number), "failing_number": number}
    if parts.failures:
        groups = queries.open_groups(scope, now)
        found |= {"groups": groups, "group_count": _open_groups(scope, now)}
    if parts.integrations:
        found |= _integrations(scope, through)
    return found


def _integrations(scope: list[uuid.UUID] | None, through: queries.Throughput | None) -> dict[str, Any]:
    rows = queries.integration_rows(scope)
    for row in rows:
        row.series = through.of(row.pk) if through else None  # type: ignore[attr-defined]
    refusing = [row for row in rows if row.state == "failing" and row.health.latest.refuses_everything]
    refusing.sort(key=lambda row: -row.health.latest.in_a_row)
    return {
        "disabled": [row for row in rows if not row.is_enabled],
        "refusing": refusing[:REFUSING_NAMED],
        "refusing_more": len(refusing[REFUSING_NAMED:]),
        "integrations": rows,
    }


def _open_groups(scope: list[uuid.UUID] | None, now: datetime) -> str:
    """The number of open cases that are not snoozed; only the latest are listed."""
    groups = FailureGroup.objects.cases().awake(now)
    groups = groups if scope is None else groups.filter(store_id__in=scope)
    return queries.shown_count(queries.capped_count(groups, 99), 99)


def open_group_count(request: HttpRequest) -> str:
    """For the menu; empty if there are none, or for people who may not see failures."""
    if not request.user.has_perm("deliveries.view_failuregroup"):
        return ""
    groups = visible_to(FailureGroup.objects.cases().awake(timezone.now()), request.user)
    number = queries.capped_count(groups, 99)
    return queries.shown_count(number, 99) if number else ""


@dataclass(frozen=True)
class Step:
    """One item of the checklist; `name` selects its text in the template."""

    name: str
    is_done: bool


def setup_steps(stores: list[Store]) -> list[Step]:
    """What is set up and what is missing; empty once an event has matched a subscription."""
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
