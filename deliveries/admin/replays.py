"""Admin of bulk resends and discards: preview with counts, live progress, pause and cancel."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.access import sees_all, stores_for
from deliveries.admin import backfills, repair
from deliveries.admin.access import render, require
from deliveries.admin.changelist import chosen_filters, described, resolved
from deliveries.admin.replay_form import DEFAULT_RATE, RATES, canary_context, chosen_canary, without_grouping
from deliveries.filters import FilterError, clean_filters
from deliveries.models import Replay
from deliveries.replay import (
    GUARDED,
    GUARDED_LIMIT,
    Preview,
    ReplayError,
    cancel_replay,
    count_guarded,
    outcome_of,
    pause_replay,
    preview,
    resume_replay,
    start_replay,
    with_status,
)
from deliveries.replay.backfill import shown_filters
from deliveries.replay.canary import TRIALS, results_of
from integrations.admin.base import LISTED_ROWS, ReadOnlyAdmin, visible_store_ids
from integrations.admin.keys import parse_uuid
from integrations.foundation.audit import Actor

TITLES = {"discard": _("Bulk discard"), "backfill": _("Backfill")}
STEPS = {"pause": pause_replay, "resume": resume_replay, "cancel": cancel_replay}


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    list_title = _("Bulk resends")
    one_of_them = _("bulk resend")
    store_path = None
    stock_pages = ("changelist",)
    export_order = exported.BULK_ACTIONS.order
    export_columns = exported.BULK_ACTIONS.columns

    def export_rows(self, request: HttpRequest) -> QuerySet[Replay]:
        return self.get_queryset(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replay]:
        rows = super().get_queryset(request)
        ids = visible_store_ids(request.user)
        return rows if ids is None else rows.filter(Q(store__in=ids) | Q(pk__in=self._own(request, ids)))

    def _own(self, request: HttpRequest, ids: list[uuid.UUID]) -> list[uuid.UUID]:
        """A replay over several stores belongs to none of them: its author sees it as long as they see these stores."""
        mine = {str(pk) for pk in ids}
        several = Replay.objects.filter(store=None, created_by_id=request.user.pk).order_by("-created_at")[:LISTED_ROWS]
        asked = {replay.pk: set(str(replay.filters.get("store", "")).split(",")) for replay in several}
        return [pk for pk, stores in asked.items() if stores <= mine]

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("add/", self.preview_view, "add"),
            self.route("repair/<number:pk>/", repair.repair_view, "repair"),
            self.route("repair/<number:pk>/test/", repair.test_repair_view, "repair_test"),
            self.route("repair/<number:pk>/result/", repair.test_result_view, "repair_result"),
            self.route("backfill/<uuid:subscription>/", backfills.backfill_view, "backfill"),
            self.route("<uuid:pk>/change/", self.progress_view, "change"),
            self.route("<uuid:pk>/live/", self.live_view, "live"),
            self.route("<uuid:pk>/step/", self.step_view, "step"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_replay")
        rows = self.get_queryset(request).select_related("store").order_by("-created_at")[:100]
        return render(request, "admin/deliveries/replay/change_list.html", gettext("Bulk resends"), {"rows": rows})

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Preview what would be affected, how many, how long; POST starts it."""
        require(request, "deliveries.replay_delivery")
        given = request.POST if request.method == "POST" else request.GET
        action = given.get("action", "retry")
        action = action if action in GUARDED else "retry"
        rate = int(given["rate"]) if given.get("rate", "").isdecimal() and len(given["rate"]) < 6 else DEFAULT_RATE
        error, found, guarded, filters = "", None, 0, self._limited(request, resolved(chosen_filters(given)))
        try:
            plain = without_guarded(filters, action)
            if request.method == "POST":
                replay = self._start(request, plain, action, rate)
                return redirect("admin:deliveries_replay_change", replay.pk)
        except (ReplayError, FilterError) as problem:
            error = str(problem)
        try:
            plain = without_guarded(filters, action)
            guarded = count_guarded(filters=filters, action=action)
            if guarded:
                # The user confirms the current number; deliveries created later do not change it.
                filters.setdefault("until", timezone.now().isoformat())
            found = preview(filters=plain, action=action) if plain["status"] else Preview(0, {}, [], 0.0)
        except (ReplayError, FilterError) as problem:
            error = str(problem)
        context = {
            "action": action,
            "filters": filters,
            "shown_filters": described(plain) if found else [],
            "preview": found,
            "left_alone_query": urlencode(plain) if found else "",
            "guarded": guarded,
            "is_countable": guarded <= GUARDED_LIMIT,
            "with_guarded": (found.total if found else 0) + guarded,
            "error": error,
            "rates": RATES,
            "rate": rate,
            "reason": given.get("reason", ""),
            **canary_context(request, found.total + guarded if found else 0),
        }
        title = gettext("Resend all that match") if action == "retry" else gettext("Discard all that match")
        return render(request, "admin/deliveries/replay/preview.html", title, context)

    def _start(self, request: HttpRequest, filters: dict[str, str], action: str, rate: int) -> Replay:
        stores = filters.get("store", "").split(",")
        pk = parse_uuid(stores[0]) if len(stores) == 1 else None
        store = stores_for(request.user).filter(pk=pk).first() if pk else None
        confirmed = None
        if "also" in request.POST:
            confirmed = _typed(request)
            filters = (
                with_status(filters, GUARDED[action]) if filters["status"] else filters | {"status": GUARDED[action]}
            )
        elif not filters["status"]:
            raise ReplayError(gettext("Nothing else matches: tick the box to include these, and type their number."))
        return start_replay(
            filters=filters,
            action=action,
            actor=Actor.of_user(request.user),
            store=store,
            per_second=max(1, rate),
            reason=request.POST.get("reason", "").strip(),
            confirmed=confirmed,
            **chosen_canary(request, action),
        )

    def _limited(self, request: HttpRequest, filters: dict[str, str]) -> dict[str, str]:
        """Staff limited to some stores can replay only theirs, whatever the URL says."""
        if sees_all(request.user):
            return filters
        mine = {str(pk) for pk in stores_for(request.user).values_list("pk", flat=True)}
        asked = {text for text in filters.get("store", "").split(",") if text} or mine
        # Never an empty filter, which would mean all stores, even for people who see none.
        if not asked or not asked <= mine:
            raise Http404(gettext("This store does not exist."))
        return {**filters, "store": ",".join(sorted(asked))}

    def progress_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_replay")
        replay = get_object_or_404(self.get_queryset(request), pk=pk)
        title = str(TITLES.get(replay.action, gettext("Bulk resend")))
        return render(request, "admin/deliveries/replay/change_form.html", title, _progress(replay))

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_replay")
        replay = get_object_or_404(self.get_queryset(request), pk=pk)
        context = _progress(replay)
        response = TemplateResponse(request, "admin/deliveries/replay/live.html", context)
        if context["is_over"] and context["outcome"].is_settled:
            response["X-Desk-Over"] = "1"
        elif context["is_over"]:
            response["X-Desk-Every"] = "5"
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


def without_guarded(filters: dict[str, str], action: str) -> dict[str, str]:
    """The filters with an explicit status, without the guarded one, which needs a tick; may be empty then."""
    cleaned = with_status(filters)
    return {**cleaned, "status": ",".join(one for one in cleaned["status"].split(",") if one != GUARDED[action])}


def _typed(request: HttpRequest) -> int:
    """The number typed next to the tick box. Raises ReplayError if it is not the one that the page showed."""
    text = without_grouping(request.POST.get("confirmed", ""))
    if not text.isdecimal() or len(text) > 9 or text != request.POST.get("guarded", ""):
        raise ReplayError(gettext("Nothing was started: the number you typed does not match the one shown."))
    return int(text)


def _trial(replay: Replay) -> str:
    """What a canary that has not passed waits for, in words; empty otherwise."""
    if not replay.has_canary or replay.status != Replay.Status.RUNNING:
        return ""
    results = results_of(replay)
    if results.sent > TRIALS[-1] or (results.sent == TRIALS[-1] and not results.under_way):
        return ""
    if results.sent <= TRIALS[0]:
        return gettext("The first one was sent; ten more follow when it has succeeded.")
    return gettext("Ten more were sent; the rest follows at a growing rate when they have succeeded.")


def _progress(replay: Replay) -> dict[str, Any]:
    """Counts, outcomes of the deliveries, and the actual rate rather than the requested one."""
    took = ((replay.finished_at or timezone.now()) - replay.created_at).total_seconds()
    rate = replay.done / took if took > 0 else 0
    left = replay.total - replay.done
    return {
        "replay": replay,
        "rate": rate,
        "seconds_left": left / rate if rate and left > 0 else None,
        "is_over": replay.is_over,
        "not_sent": max(0, left),
        "trial": _trial(replay),
        "filters": described(clean_filters(shown_filters(replay))),
        "outcome": outcome_of(replay),
    }
