"""Admin of bulk fixes: the list, the table step's addresses, approval of a batch, progress, undo."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.admin.wizard import table
from deliveries.failures.cases import case_of
from deliveries.models import BulkFix, BulkFixItem, Delivery, Event, FailureGroup, Proposal
from deliveries.recipes.rules import RuleError, parse_rules
from deliveries.recipes.sending import approve_fix, reject_fix
from deliveries.recipes.sheets import cell_text
from deliveries.recipes.undoing import Undone, can_undo, undo_records
from deliveries.replay import outcome_of
from deliveries.resolution import ResolutionError, why_not_approver
from deliveries.resolution.bulk_fixes import value_of
from deliveries.stats.queries import capped_count, shown_count
from integrations.admin.base import ReadOnlyAdmin
from integrations.foundation.audit import Actor
from integrations.foundation.json_places import MISSING, PlaceError, as_spelled, look_up, parse_place
from integrations.foundation.written import grouped

LISTED: Final = 100
SAMPLE: Final = 25
REFUSED_SHOWN: Final = 20


@admin.register(BulkFix)
class BulkFixAdmin(ReadOnlyAdmin):
    stock_pages = ("changelist",)
    export_order = exported.FIXES.order
    export_columns = exported.FIXES.columns

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("add/", table.begin_matching_view, "add"),
            self.route("<uuid:pk>/table/", table.table_view, "table"),
            self.route("<uuid:pk>/table/live/", table.live_view, "table_live"),
            self.route("<uuid:pk>/table/export/", table.export_view, "export"),
            self.route("<uuid:pk>/change/", self.fix_page, "change"),
            self.route("<uuid:pk>/live/", self.live_view, "live"),
            self.route("<uuid:pk>/decide/", self.decide_view, "decide"),
            self.route("<uuid:pk>/undo/", self.undo_view, "undo"),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest) -> QuerySet[BulkFix]:
        rows: QuerySet[BulkFix] = self.get_queryset(request)
        return rows.filter(~Q(status=BulkFix.Status.DRAFT) | Q(author_id=request.user.pk))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Those that await approval first; drafts are their author's own affair."""
        require(request, "deliveries.view_bulkfix")
        rows = self.export_rows(request)
        found = list(rows.select_related("store", "replay").order_by("-created_at")[:LISTED])
        found.sort(key=lambda fix: fix.status not in (BulkFix.Status.AWAITING, BulkFix.Status.PROPOSED))
        context = {"rows": [(fix, _field(fix)) for fix in found]}
        return render(request, "admin/deliveries/bulkfix/change_list.html", _("Bulk fixes"), context)

    def fix_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_bulkfix")
        fix = self._fix(request, pk)
        if fix.status == BulkFix.Status.DRAFT:
            return redirect("admin:deliveries_bulkfix_table", pk)
        title = ngettext(
            "Fix of %(number)s delivery: %(field)s", "Fix of %(number)s deliveries: %(field)s", fix.total
        ) % {"number": grouped(fix.total), "field": _field(fix)}
        return render(request, "admin/deliveries/bulkfix/change_form.html", title, self._context(request, fix))

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_bulkfix")
        context = _progress(request, self._fix(request, pk))
        response = TemplateResponse(request, "admin/deliveries/bulkfix/live.html", context)
        if context["is_settled"]:
            response["X-Desk-Over"] = "1"
        return response

    @method_decorator(require_POST)
    def decide_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Approve or reject the whole batch."""
        require(request, "deliveries.approve_revision")
        fix, actor = self._fix(request, pk), Actor.of_user(request.user)
        try:
            if request.POST.get("decision") == "approve":
                approve_fix(fix=fix, actor=actor)
                messages.success(request, _("Approved: it is being sent now."))
            else:
                reject_fix(fix=fix, actor=actor, reason=request.POST.get("reason", "")[:500])
                messages.success(request, _("Rejected. Nothing was sent."))
        except ResolutionError as error:
            messages.error(request, error.message)
        return redirect("admin:deliveries_bulkfix_change", pk)

    def undo_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """Restore the records: confirmed on a page, done by POST."""
        for permission in table.PERMISSIONS:
            require(request, permission)
        fix = self._fix(request, pk)
        if request.method == "POST":
            try:
                done = undo_records(
                    fix=fix, actor=Actor.of_user(request.user), reason=request.POST.get("reason", "").strip()[:500]
                )
            except ResolutionError as error:
                messages.error(request, error.message)
            else:
                _tell_undone(request, done)
            return redirect("admin:deliveries_bulkfix_change", pk)
        context = {"fix": fix, "number": can_undo(fix), "field": _field(fix)}
        return render(request, "admin/deliveries/bulkfix/undo.html", _("Undo the record updates"), context)

    def _fix(self, request: HttpRequest, pk: uuid.UUID) -> BulkFix:
        rows: QuerySet[BulkFix] = self.get_queryset(request).select_related("store", "replay", "approved_by")
        return get_object_or_404(rows, pk=pk)

    def _context(self, request: HttpRequest, fix: BulkFix) -> dict[str, Any]:
        user = request.user
        return {
            **_progress(request, fix),
            "field": _field(fix),
            "sentences": _sentences(fix),
            "sample": _sample(fix),
            "sample_size": SAMPLE,
            "may_decide": user.has_perm("deliveries.approve_revision"),
            "why_not": why_not_approver(fix, Actor.of_user(user)),
            "proposal": Proposal.objects.filter(fix=fix).first(),
            "undoable": can_undo(fix) if all(user.has_perm(one) for one in table.PERMISSIONS) else 0,
            "restored": fix.items.filter(is_undone=True).count(),
            "refused": _named(fix.items.filter(record_id__isnull=False, is_undone=False).exclude(note="")),
        }


def _tell_undone(request: HttpRequest, done: Undone) -> None:
    said = ngettext(
        "%(number)s record has its former values again.",
        "%(number)s records have their former values again.",
        done.restored,
    )
    messages.success(request, said % {"number": grouped(done.restored)})
    if number := len(done.refused):
        said = ngettext(
            "%(number)s could not be restored: see below which.",
            "%(number)s could not be restored: see below which.",
            number,
        )
        messages.warning(request, said % {"number": grouped(number)})


def _progress(request: HttpRequest, fix: BulkFix) -> dict[str, Any]:
    outcome = outcome_of(fix.replay) if fix.replay is not None else None
    is_running = fix.replay is not None and fix.replay.status in ("running", "paused")
    group = case_of(fix.scope.get("group"))
    rest = capped_count(Delivery.objects.filter(failure_group=group).failing()) if group is not None else 0
    following = visible_to(FailureGroup.objects.awake(timezone.now()), request.user)
    if group is not None:
        following = following.exclude(pk=group.pk)
    is_over = fix.status == BulkFix.Status.SENT and not is_running and not (outcome and outcome.under_way)
    return {
        "fix": fix,
        "replay": fix.replay,
        "outcome": outcome,
        "is_over": is_over,
        "is_settled": fix.status != BulkFix.Status.SENT or (is_over and (outcome is None or outcome.is_settled)),
        "skipped": _named(fix.items.filter(is_written=False).exclude(note="")),
        "group": group,
        "rest": rest,
        "rest_text": shown_count(rest),
        "next_group": following.select_related("integration").order_by("-last_at").first(),
        "now": timezone.now(),
    }


def _field(fix: BulkFix) -> str:
    return as_spelled(fix.place) if fix.place else ""


def _sentences(fix: BulkFix) -> list[str]:
    try:
        return [step.sentence for step in parse_rules(fix.rules)]
    except RuleError:
        return []


def _sample(fix: BulkFix) -> list[dict[str, Any]]:
    """Some of what is sent, as it was pushed and as it will be: what a second approver looks at."""
    items = list(fix.items.order_by("-is_typed", "delivery_id")[:SAMPLE])
    events = _events([item.delivery_id for item in items])
    try:
        place = parse_place(fix.place)
    except PlaceError:
        return []
    shown = []
    for item in items:
        event = events.get(item.delivery_id)
        after = value_of(item.change)
        before = look_up(event.data, place) if event is not None else MISSING
        shown.append(
            {
                "item": item,
                "event": event,
                "before": cell_text(before),
                "after": cell_text(after),
                "is_removed": after is MISSING,
            }
        )
    return shown


def _events(ids: list[uuid.UUID]) -> dict[uuid.UUID, Event]:
    rows = Delivery.objects.filter(id__in=ids).select_related("event")
    return {row.pk: row.event for row in rows}


def _named(items: QuerySet[BulkFixItem]) -> list[tuple[uuid.UUID, str, str]]:
    """Deliveries with the name of their object and the note on them."""
    found = list(items.order_by("delivery_id")[:REFUSED_SHOWN])
    events = _events([item.delivery_id for item in found])
    return [
        (item.delivery_id, _name(events.get(item.delivery_id)) or str(item.delivery_id), _(item.note)) for item in found
    ]


def _name(event: Event | None) -> str:
    return f"{event.object_type}/{event.object_id}" if event is not None and event.object_id else ""
