"""Admin of failure groups, which staff know as cases: failures with the same cause."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries import exported, hooks
from deliveries.admin.access import render, require
from deliveries.admin.case_list import page_of, tabs_of
from deliveries.admin.case_work import work, work_context
from deliveries.failures.cases import merged_into
from deliveries.failures.groups import reopen_group, resolve_group
from deliveries.models import Delivery, FailureGroup
from deliveries.stats.queries import with_failing
from integrations.admin.base import ReadOnlyAdmin
from integrations.foundation.audit import Actor

DELIVERIES_SHOWN = 25


@admin.register(FailureGroup)
class FailureGroupAdmin(ReadOnlyAdmin):
    stock_pages = ("changelist",)
    export_columns = exported.CASES.columns

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<number:pk>/resolve/", self.resolve_view, "resolve"),
            self.route("<number:pk>/close/", self.close_view, "close"),
            self.route("<number:pk>/work/", self.work_view, "work"),
            self.route("<number:pk>/change/", self.group_page, "change"),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest) -> QuerySet[FailureGroup]:
        tabs = tabs_of(request, self.get_queryset(request), timezone.now())
        rows: QuerySet[FailureGroup] = next(tab for tab in tabs if tab.is_current).rows
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_failuregroup")
        now = timezone.now()
        tabs = tabs_of(request, self.get_queryset(request), now)
        tab = next(tab for tab in tabs if tab.is_current)
        context = {"tabs": tabs, "tab": tab, **page_of(request, tab, now)}
        return render(request, "admin/deliveries/failuregroup/change_list.html", _("Cases"), context)

    def group_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(request, "deliveries.view_failuregroup")
        group = get_object_or_404(self._rows(request), pk=pk)
        if (into := merged_into(group)) is not None:
            messages.info(request, _("Case %(case)s was merged into this one.") % {"case": pk})
            return redirect("admin:deliveries_failuregroup_change", into.pk)
        [group] = with_failing([group])
        rows = (
            Delivery.objects.filter(failure_group=group)
            .failing()
            .select_related("event", "integration", "store")
            .defer("event__data")
            .order_by("-id")[:DELIVERIES_SHOWN]
        )
        now = timezone.now()
        hooks.page_opened(request.user.pk, request.path, now)  # type: ignore[arg-type]  # staff only
        context = {"group": group, "rows": rows, "shown": DELIVERIES_SHOWN, **work_context(request, group, now)}
        title = f"{group.integration.name}: {group.headline[:80]}"
        return render(request, "admin/deliveries/failuregroup/change_form.html", title, context)

    @method_decorator(require_POST)
    def work_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give it to somebody, comment, snooze, link, merge, split."""
        require(request, "deliveries.resolve_delivery")
        group = get_object_or_404(self._rows(request), pk=pk)
        work(request, group, self._rows(request))
        return redirect("admin:deliveries_failuregroup_change", pk)

    def resolve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Open the wizard with the newest failing delivery of the group."""
        require(request, "deliveries.resolve_delivery")
        group = get_object_or_404(self._rows(request), pk=pk)
        failing = Delivery.objects.filter(failure_group=group).failing()
        first = failing.filter(status=Delivery.Status.FAILED).order_by("-id").first() or failing.order_by("-id").first()
        if first is None:
            messages.info(request, _("No delivery fails this way now."))
            return redirect("admin:deliveries_failuregroup_change", pk)
        return redirect("admin:deliveries_delivery_resolve", first.pk)

    def close_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Resolve a group by hand, or reopen it."""
        require(request, "deliveries.resolve_delivery")
        group = get_object_or_404(self._rows(request), pk=pk)
        if request.method == "POST":
            actor = Actor.of_user(request.user)
            if group.status == FailureGroup.Status.OPEN:
                resolve_group(group=group, actor=actor)
                messages.success(request, _("Marked as resolved. It reopens automatically if the failure recurs."))
            else:
                reopen_group(group=group, actor=actor)
                messages.success(request, _("Reopened."))
        return redirect("admin:deliveries_failuregroup_change", pk)

    def _rows(self, request: HttpRequest) -> QuerySet[FailureGroup]:
        return self.get_queryset(request).select_related("integration__health", "store", "assignee")
