"""Bulk resends and discards: all that match a filter, counted before, watched while, stoppable."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from deliveries.admin.listing import FILTERS, chosen_filters, resolved
from deliveries.admin.opening import render, require
from deliveries.filters import FilterError, clean_filters
from deliveries.models import Replay
from deliveries.replay import ReplayError, cancel_replay, pause_replay, preview, resume_replay, start_replay
from deliveries.visibility import sees_all, stores_for
from integrations.admin.base import ReadOnlyAdmin, visible_store_ids
from integrations.audit import Actor

RATES = (10, 50, 200, 1_000)
DEFAULT_RATE = 200
STEPS = {"pause": pause_replay, "resume": resume_replay, "cancel": cancel_replay}


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    store_path = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replay]:
        rows = super().get_queryset(request)
        ids = visible_store_ids(request.user)
        # One over several stores belongs to none of them: whoever began it goes on seeing it.
        return rows if ids is None else rows.filter(Q(store__in=ids) | Q(created_by=request.user))

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: Any, name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(view), name=f"deliveries_replay_{name}")

        return [
            own("add/", self.preview_view, "add"),
            own("<uuid:pk>/change/", self.progress_view, "change"),
            own("<uuid:pk>/live/", self.live_view, "live"),
            own("<uuid:pk>/step/", self.step_view, "step"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_replay")
        rows = self.get_queryset(request).select_related("store").order_by("-created_at")[:100]
        return render(request, "admin/deliveries/replay/change_list.html", "Bulk resends", {"rows": rows})

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What would be touched, how many, how long; by POST it begins."""
        require(request, "deliveries.replay_delivery")
        given = request.POST if request.method == "POST" else request.GET
        action = given.get("action", "retry")
        action = action if action in Replay.Action.values else "retry"
        filters = self._limited(request, resolved(chosen_filters(given)))
        rate = int(given["rate"]) if given.get("rate", "").isdecimal() and len(given["rate"]) < 6 else DEFAULT_RATE
        error, found = "", None
        try:
            if request.method == "POST":
                replay = self._start(request, filters, action, rate)
                return redirect("admin:deliveries_replay_change", replay.pk)
        except (ReplayError, FilterError) as problem:
            error = str(problem)
        try:
            found = preview(filters=filters, action=action)
        except (ReplayError, FilterError) as problem:
            error = str(problem)
        context = {
            "action": action,
            "filters": filters,
            "shown_filters": [(name, filters[name]) for name in FILTERS if name in filters],
            "preview": found,
            "error": error,
            "rates": RATES,
            "rate": rate,
            "minutes": found.total / max(1, rate) if found else 0,
            "reason": given.get("reason", ""),
        }
        title = "Resend all that match" if action == "retry" else "Discard all that match"
        return render(request, "admin/deliveries/replay/preview.html", title, context)

    def _start(self, request: HttpRequest, filters: dict[str, str], action: str, rate: int) -> Replay:
        stores = filters.get("store", "").split(",")
        store = stores_for(request.user).filter(pk=stores[0]).first() if len(stores) == 1 and stores[0] else None
        return start_replay(
            filters=filters,
            action=action,
            actor=Actor.of_user(request.user),
            store=store,
            per_second=max(1, rate),
            reason=request.POST.get("reason", "").strip(),
        )

    def _limited(self, request: HttpRequest, filters: dict[str, str]) -> dict[str, str]:
        """Whoever is limited to stores replays only theirs, whatever the address says."""
        if sees_all(request.user):
            return filters
        mine = {str(pk) for pk in stores_for(request.user).values_list("pk", flat=True)}
        asked = {text for text in filters.get("store", "").split(",") if text} or mine
        # Never an empty filter, which would mean all stores.
        if not asked <= mine:
            raise Http404("There is no such store.")
        return {**filters, "store": ",".join(sorted(asked))}

    def progress_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_replay")
        replay = get_object_or_404(self.get_queryset(request), pk=pk)
        title = "Bulk resend" if replay.action == "retry" else "Bulk discard"
        return render(request, "admin/deliveries/replay/change_form.html", title, _progress(replay))

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_replay")
        replay = get_object_or_404(self.get_queryset(request), pk=pk)
        response = TemplateResponse(request, "admin/deliveries/replay/live.html", _progress(replay))
        if replay.status in (Replay.Status.DONE, Replay.Status.CANCELLED):
            response["X-Desk-Over"] = "1"
        return response

    @method_decorator(require_POST)
    def step_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.replay_delivery")
        replay = get_object_or_404(self.get_queryset(request), pk=pk)
        service = STEPS.get(request.POST.get("step", ""))
        if service is not None:
            try:
                service(replay=replay, actor=Actor.of_user(request.user))
            except ReplayError as error:
                messages.error(request, str(error))
        return redirect("admin:deliveries_replay_change", pk)


def _progress(replay: Replay) -> dict[str, Any]:
    """Counts, and the rate as it is and not as it was asked for."""
    took = ((replay.finished_at or timezone.now()) - replay.created_at).total_seconds()
    rate = replay.done / took if took > 0 else 0
    left = replay.total - replay.done
    return {
        "replay": replay,
        "rate": rate,
        "seconds_left": left / rate if rate and left > 0 else None,
        "is_over": replay.status in (Replay.Status.DONE, Replay.Status.CANCELLED),
        "filters": [(name, value) for name, value in clean_filters(replay.filters).items()],
    }
