"""The table step: one field of many failed deliveries, fixed by rules, in cells, by paste or by CSV, and sent once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import open_delivery, render, require
from deliveries.admin.changelist import chosen_filters, described, resolved
from deliveries.admin.wizard.keep_form import KeepForm
from deliveries.admin.wizard.rule_form import changed_rules, rules_in, shown_rules
from deliveries.admin.wizard.table_values import everything, rows_of, take_typed
from deliveries.failures.cases import case_of
from deliveries.filters import FilterError
from deliveries.models import BulkFix, FailureGroup
from deliveries.recipes import drafts
from deliveries.recipes.members import IDS, MEMBERS_LIMIT
from deliveries.recipes.plan import LIVE_SECONDS, PREVIEW_SECONDS, SEND_SECONDS, Plan, Row
from deliveries.recipes.rules import RULES, RuleError
from deliveries.recipes.sending import send_fix
from deliveries.recipes.sheets import SheetError, as_csv
from deliveries.recipes.suggestions import SAMPLE, suggest
from deliveries.resolution import ResolutionError
from integrations.admin.keys import parse_number
from integrations.foundation.audit import Actor
from integrations.foundation.json_places import PlaceError, as_spelled
from integrations.models import Store

PERMISSIONS: Final = ("deliveries.resolve_delivery", "deliveries.replay_delivery")
ROWS_SHOWN: Final = 50
SHOWN: Final = ("all", "fits", "unlike", "unchanged", "breaks")
ID_LIMIT: Final = 2**63 - 1

Problem = RuleError | ResolutionError | FilterError | PlaceError | SheetError


def open_draft(request: HttpRequest, pk: uuid.UUID) -> BulkFix:
    for permission in PERMISSIONS:
        require(request, permission)
    rows = visible_to(BulkFix.objects.select_related("store"), request.user)
    return get_object_or_404(rows, pk=pk)


def begin_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """From a delivery's wizard: a table of all with the same failure."""
    delivery = open_delivery(request, pk, PERMISSIONS[0])
    group = delivery.failure_group_id
    return begin(request, {"group": str(group)} if group else {IDS: [str(pk)]}, delivery.store)


def begin_matching_view(request: HttpRequest) -> HttpResponse:
    """From a list: a table of all that match its filters, which must be one store's."""
    filters = {name: text for name, text in resolved(chosen_filters(request.GET)).items() if name != "status"}
    stores = visible_to(Store.objects.all(), request.user, path="pk")
    if (number := parse_number(filters.get("group"), ID_LIMIT)) is not None:
        stores = stores.filter(pk__in=FailureGroup.objects.filter(pk=number).values("store"))
    elif "store" in filters:
        stores = stores.filter(pk__in=[text for text in filters["store"].split(",") if _uuid(text)])
    found = list(stores[:2])
    if len(found) != 1:
        messages.warning(request, _("A table is for one store. Choose the store in the filters first."))
        return redirect("admin:deliveries_delivery_changelist")
    return begin(request, filters, found[0])


def begin(request: HttpRequest, scope: Mapping[str, Any], store: Store) -> HttpResponse:
    """POST begins a draft, or goes on with one's own. Looking at the address goes on with it, or offers to begin."""
    for permission in PERMISSIONS:
        require(request, permission)
    actor = Actor.of_user(request.user)
    try:
        fix = drafts.own_draft(scope=scope, store=store, actor=actor)
        if fix is None and request.method != "POST":
            context = {"number": drafts.count_members(scope, store)}
            return render(request, "admin/deliveries/wizard/table_begin.html", _("Fix in a table"), context)
        fix = fix or drafts.begin_fix(scope=scope, store=store, actor=actor)
    except (FilterError, ResolutionError) as problem:
        messages.warning(request, str(problem))
        return redirect("admin:deliveries_delivery_changelist")
    return redirect("admin:deliveries_bulkfix_table", fix.pk)


@dataclass
class _Page:
    """What of the table is shown, and what went wrong."""

    show: str = "all"
    start: int = 0
    problem: Problem | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> _Page:
        show, start = str(given.get("show", "all")), str(given.get("start", "0"))
        number = int(start) if start.isascii() and start.isdecimal() and len(start) < 6 else 0
        return cls(show if show in SHOWN else "all", number - number % ROWS_SHOWN)

    def wanted(self) -> Callable[[int, Row], bool]:
        seen = 0

        def is_wanted(_: int, row: Row) -> bool:
            nonlocal seen
            if self.show not in ("all", row.verdict):
                return False
            seen += 1
            return self.start < seen <= self.start + ROWS_SHOWN

        return is_wanted


def table_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    fix = open_draft(request, pk)
    if fix.status != BulkFix.Status.DRAFT:
        return redirect("admin:deliveries_bulkfix_change", pk)
    page = _Page.of(request.POST if request.method == "POST" else request.GET)
    if request.method == "POST":
        page.problem = _save(request, fix, page)
        if page.problem is None and request.POST.get("do") == "send":
            page.problem = _send(request, fix)
            if page.problem is None:
                return redirect("admin:deliveries_bulkfix_change", pk)
    title = _("Fix %(field)s") % {"field": as_spelled(fix.place)} if fix.place else _("Fix in a table")
    context = {**_builder(fix), **_result(fix, page), "keep": KeepForm.of(request.POST, fix)}
    # A rule that was added this moment is not wrong yet; the cursor stands in it.
    context["is_new"] = request.POST.get("add") in RULES
    return render(request, "admin/deliveries/wizard/table.html", title, context)


@require_POST
def live_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The result while the form is being filled in. Keeps the draft, sends nothing."""
    fix = open_draft(request, pk)
    if fix.status != BulkFix.Status.DRAFT:
        raise Http404
    page = _Page.of(request.POST)
    page.problem = _save(request, fix, page)
    return TemplateResponse(request, "admin/deliveries/wizard/table_result.html", _result(fix, page, LIVE_SECONDS))


def export_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    fix = open_draft(request, pk)
    try:
        plan = drafts.preview_fix(fix, is_wanted=everything, seconds=SEND_SECONDS)
    except (RuleError, ResolutionError, FilterError) as problem:
        messages.warning(request, str(problem))
        return redirect("admin:deliveries_bulkfix_table", pk)
    response = HttpResponse("".join(as_csv(plan.rows)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{fix.public_id}.csv"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _save(request: HttpRequest, fix: BulkFix, page: _Page) -> Problem | None:
    form = request.POST
    rules = changed_rules(rules_in(form), form)
    try:
        if form.get("do") == "suggested":
            found = suggest(drafts.values_now(fix, SAMPLE), drafts.shape_for(fix))
            rules = [dict(rule) for rule in found.rules] if found is not None else rules
        drafts.save_draft(
            fix=fix,
            place=form.get("place") or None,
            rules=rules,
            updates_records="updates_records" in form,
            includes_unlike="includes_unlike" in form,
            reason=form.get("reason", "")[:500],
            editor=Actor.of_user(request.user),
        )
        page.notes = take_typed(request, fix, page.wanted)
    except (RuleError, ResolutionError, FilterError, PlaceError, SheetError) as problem:
        return problem
    return None


def _send(request: HttpRequest, fix: BulkFix) -> Problem | None:
    keep = KeepForm.of(request.POST, fix)
    actor = Actor.of_user(request.user)
    try:
        keep.check()
        send_fix(fix=fix, actor=actor, reason=fix.reason)
    except (RuleError, ResolutionError, FilterError) as problem:
        return problem
    if fix.status == BulkFix.Status.AWAITING:
        messages.success(request, _("Sent for approval. Nothing is sent until someone else approves it."))
    if keep.is_wanted:
        try:
            keep.save(fix, actor)
            messages.success(request, _("The rules are kept for future failures like these."))
        except ResolutionError as problem:
            messages.warning(request, _("The rules were not kept: %(message)s") % {"message": problem.message})
    return None


def _builder(fix: BulkFix) -> dict[str, Any]:
    found = drafts.fields(fix.scope, fix.store)
    chosen = as_spelled(fix.place) if fix.place else ""
    suggestion = None
    if fix.place and not fix.rules:
        suggestion = suggest(drafts.values_now(fix, SAMPLE), drafts.shape_for(fix))
    shape = drafts.shape_for(fix)
    group = case_of(fix.scope.get("group"))
    return {
        "fix": fix,
        "fields": found,
        "chosen": chosen,
        "is_suspect": any(one.path == chosen and one.is_suspect for one in found),
        "rules": shown_rules(fix.rules),
        "offered": list(RULES.values()),
        "suggestion": suggestion,
        "shape": shape,
        "group": group,
        "scope": [] if group or IDS in fix.scope else described(dict(fix.scope)),
        "rows_shown": ROWS_SHOWN,
    }


def _result(fix: BulkFix, page: _Page, seconds: float = PREVIEW_SECONDS) -> dict[str, Any]:
    plan: Plan | None = None
    try:
        plan = drafts.preview_fix(fix, is_wanted=page.wanted(), seconds=seconds)
    except (RuleError, ResolutionError, FilterError) as problem:
        page.problem = page.problem or problem
        rows = _rows_as_they_are(fix, page)
        plan = Plan(rows=rows, reached=len(rows), matching=len(rows))
    counts = plan.counts
    sendable = counts["fits"] + (counts["unlike"] if fix.includes_unlike else 0)
    shown = plan.reached if page.show == "all" else counts.get(page.show, 0)  # type: ignore[call-overload]
    return {
        "fix": fix,
        "plan": plan,
        "page": page,
        "problem": page.problem,
        "incomplete": _incomplete(page.problem),
        "sendable": sendable,
        "typed": fix.items.filter(is_typed=True).count(),
        "first": page.start + 1,
        "last": page.start + len(plan.rows),
        "of": shown,
        "earlier": page.start - ROWS_SHOWN if page.start else None,
        "later": page.start + ROWS_SHOWN if page.start + ROWS_SHOWN < shown else None,
        "limit": MEMBERS_LIMIT,
        "tabs": [
            ("all", _("All"), plan.reached),
            ("fits", _("Fit"), counts["fits"]),
            ("unlike", _("Unlike what arrived"), counts["unlike"]),
            ("unchanged", _("Unchanged"), counts["unchanged"]),
            ("breaks", _("Do not fit"), counts["breaks"]),
        ],
    }


def _incomplete(problem: Problem | None) -> int | None:
    """The number of the rule, from 1, that the problem is with."""
    return problem.position + 1 if isinstance(problem, RuleError) and problem.position is not None else None


def _rows_as_they_are(fix: BulkFix, page: _Page) -> list[Row]:
    return rows_of(fix, page.wanted()) if fix.place else []


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
