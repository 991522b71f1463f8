"""Admin of failure groups: failures with the same cause."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path

from deliveries.admin.access import render, require
from deliveries.failures.groups import reopen_group, resolve_group
from deliveries.models import Delivery, FailureGroup
from deliveries.stats.queries import with_failing
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.lists import tab_page
from integrations.foundation.audit import Actor

DELIVERIES_SHOWN = 25


@admin.register(FailureGroup)
class FailureGroupAdmin(ReadOnlyAdmin):
    stock_pages = ("changelist",)

    def get_urls(self) -> list[URLPattern]:
        def own(route: str, view: Any, name: str) -> URLPattern:
            return path(route, self.admin_site.admin_view(view), name=f"deliveries_failuregroup_{name}")

        return [
            own("<number:pk>/resolve/", self.resolve_view, "resolve"),
            own("<number:pk>/close/", self.close_view, "close"),
            own("<number:pk>/change/", self.group_page, "change"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_failuregroup")
        rows, context = tab_page(request, self._rows(request))
        context["groups"] = with_failing(rows)
        return render(request, "admin/deliveries/failuregroup/change_list.html", "Failures", context)

    def group_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(request, "deliveries.view_failuregroup")
        group = with_failing([get_object_or_404(self._rows(request), pk=pk)])[0]
        rows = (
            Delivery.objects.filter(failure_group=group)
            .failing()
            .select_related("event", "integration", "store")
            .defer("event__data")
            .order_by("-id")[:DELIVERIES_SHOWN]
        )
        context = {"group": group, "rows": rows, "shown": DELIVERIES_SHOWN}
        title = f"{group.integration.name}: {group.headline[:80]}"
        return render(request, "admin/deliveries/failuregroup/change_form.html", title, context)

    def resolve_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Open the wizard with the newest failing delivery of the group."""
        require(request, "deliveries.resolve_delivery")
        group = get_object_or_404(self._rows(request), pk=pk)
        failing = Delivery.objects.filter(failure_group=group).failing()
        first = failing.filter(status=Delivery.Status.FAILED).order_by("-id").first() or failing.order_by("-id").first()
        if first is None:
            messages.info(request, "No delivery fails this way now.")
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
                messages.success(request, "Marked as resolved. It reopens automatically if the failure recurs.")
            else:
                reopen_group(group=group, actor=actor)
                messages.success(request, "Reopened.")
        return redirect("admin:deliveries_failuregroup_change", pk)

    def _rows(self, request: HttpRequest) -> QuerySet[FailureGroup]:
        return self.get_queryset(request).select_related("integration__health", "store")
