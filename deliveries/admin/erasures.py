"""Erasing one person's data from the desk: a value, what holds it, a second look, progress."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.access import stores_for
from deliveries.admin.access import render, require
from deliveries.erasure.matching import LONGEST
from deliveries.erasure.report import lines_of, progress_of, totals_of
from deliveries.erasure.service import (
    PERMISSION,
    REASON_LIMIT,
    ErasureError,
    approve_erasure,
    cancel_erasure,
    confirm_erasure,
    count_first,
    why_not_approver,
)
from deliveries.models import Erasure
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.fields import KnownRowField
from integrations.foundation.audit import Actor
from integrations.models import Store
from integrations.security.encrypted_fields import readable

LISTED = 100


class ValueForm(forms.Form):
    store = KnownRowField(queryset=Store.objects.none(), label=_("Store"))
    value = forms.CharField(
        label=_("Value"),
        max_length=LONGEST,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=_("A phone number, an e-mail address, a customer’s number: as it is written in the payloads."),
    )
    match = forms.ChoiceField(
        label=_("Match"),
        choices=[("exact", _("the whole value")), ("contains", _("any part of a value or a text"))],
        help_text=_("Other spellings of a number are other values: erase each of them."),
    )


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_title = _("Erasures")
    one_of_them = _("erasure")
    stock_pages = ("changelist",)
    export_order = exported.ERASURES.order
    export_columns = exported.ERASURES.columns

    def export_rows(self, request: HttpRequest) -> QuerySet[Erasure]:
        return self.get_queryset(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Erasure]:
        return super().get_queryset(request).defer("value").select_related("store")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("add/", self.begin_view, "add"),
            self.route("<uuid:pk>/change/", self.erasure_page, "change"),
            self.route("<uuid:pk>/live/", self.live_view, "live"),
            self.route("<uuid:pk>/decide/", self.decide_view, "decide"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_erasure")
        rows = self.get_queryset(request).order_by("-created_at")[:LISTED]
        context = {
            "rows": [(row, *totals_of(row)) for row in rows],
            "may_erase": request.user.has_perm(PERMISSION),
        }
        return render(request, "admin/deliveries/erasure/change_list.html", gettext("Erasures"), context)

    def begin_view(self, request: HttpRequest) -> HttpResponse:
        """POST counts; nothing is erased before what was found is confirmed."""
        require(request, PERMISSION)
        form = ValueForm(request.POST or None)
        stores = stores_for(request.user).order_by("name")
        form.fields["store"].queryset = stores  # type: ignore[attr-defined]
        if stores.count() == 1:
            form.fields["store"].initial = stores.first()
        if request.method == "POST" and form.is_valid():
            try:
                erasure = count_first(actor=Actor.of_user(request.user), **form.cleaned_data)
                return redirect("admin:deliveries_erasure_change", erasure.pk)
            except ErasureError as error:
                form.add_error(error.field or None, error.message)
        return render(request, "admin/deliveries/erasure/add.html", gettext("Erase a person’s data"), {"form": form})

    def erasure_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_erasure")
        erasure = get_object_or_404(self.get_queryset(request), pk=pk)
        return render(
            request, "admin/deliveries/erasure/change_form.html", gettext("Erasure"), _context(request, erasure)
        )

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_erasure")
        erasure = get_object_or_404(self.get_queryset(request), pk=pk)
        response = TemplateResponse(request, "admin/deliveries/erasure/live.html", _context(request, erasure))
        if not erasure.is_at_work:
            response["X-Desk-Over"] = "1"
        return response

    @method_decorator(require_POST)
    def decide_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """`decision`: erase (what was counted), approve (as the second person), cancel."""
        require(request, PERMISSION)
        erasure = get_object_or_404(self.get_queryset(request), pk=pk)
        actor, decision = Actor.of_user(request.user), request.POST.get("decision", "")
        try:
            if decision == "erase":
                reason = request.POST.get("reason", "").replace("\0", "")
                confirm_erasure(erasure=erasure, actor=actor, reason=reason)
            elif decision == "approve":
                approve_erasure(erasure=erasure, actor=actor)
            elif decision == "cancel":
                cancel_erasure(erasure=erasure, actor=actor)
        except ErasureError as error:
            messages.error(request, error.message)
        return redirect("admin:deliveries_erasure_change", pk)


def _context(request: HttpRequest, erasure: Erasure) -> dict[str, Any]:
    may_erase = request.user.has_perm(PERMISSION)
    lines = lines_of(erasure)
    done, total, label = progress_of(erasure)
    found, erased = totals_of(erasure)
    return {
        "erasure": erasure,
        "value": readable(erasure, "value") if may_erase else "",
        "lines": [line for line in lines if not line.is_reported],
        "reported": [line for line in lines if line.is_reported and line.found],
        "found": found,
        "erased": erased,
        "percent": done * 100 // total,
        "place_number": done + 1,
        "place_count": total,
        "place_label": label,
        "may_erase": may_erase,
        "reason_limit": REASON_LIMIT,
        "why_not": why_not_approver(erasure, Actor.of_user(request.user)) if erasure.status == "awaiting" else "",
    }
