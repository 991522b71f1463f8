"""Admin of deliveries: list, page, and the URLs of all actions on one."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.admin import changelist as listing
from deliveries.admin import test_and_preview, texts
from deliveries.admin.access import open_delivery, render, require
from deliveries.admin.approvals import approvals_view, batch_view
from deliveries.admin.bulk import selection_view
from deliveries.admin.compare import compare_view
from deliveries.admin.detail import in_full, page_context
from deliveries.admin.figures import figures_view, objectives_view
from deliveries.admin.json_pointers import existing_pointers
from deliveries.admin.proposals import proposal_view
from deliveries.admin.saved_lists import saved_context
from deliveries.admin.wizard import outcome, steps, table
from deliveries.models import Delivery, SavedView
from deliveries.resolution import ResolutionError, approve_revision, reject_revision, why_not_approver
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.keys import parse_number
from integrations.foundation.audit import Actor
from integrations.foundation.json_documents import describe_patch

#: More edits than any payload gets, and within every database's integer range.
REVISION_LIMIT = 2**31 - 1


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries are never edited directly: staff actions go through services, each with a permission and an
    audit entry.
    """

    list_title = gettext_lazy("Deliveries")
    one_of_them = gettext_lazy("delivery")
    stock_pages = ("changelist",)
    export_columns = exported.DELIVERIES.columns

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("selection/", selection_view, "selection"),
            path("approvals/", self.admin_site.admin_view(approvals_view), name="deliveries_approvals"),
            path("approvals/<uuid:proposal>/", self.admin_site.admin_view(proposal_view), name="deliveries_proposal"),
            path("<uuid:pk>/approvals/", self.admin_site.admin_view(batch_view), name="deliveries_approval_batch"),
            self.route("preview/", test_and_preview.preview_view, "preview"),
            self.route("test/<number:pk>/", test_and_preview.test_view, "test"),
            self.route("figures/<number:pk>/", figures_view, "figures"),
            self.route("figures/<number:pk>/objectives/", objectives_view, "objectives"),
            self.route("<uuid:pk>/resolve/", steps.diagnose_step, "resolve"),
            self.route("<uuid:pk>/resolve/edit/", steps.edit_step, "edit"),
            self.route("<uuid:pk>/resolve/table/", table.begin_view, "table"),
            self.route("<uuid:pk>/resolve/check/", steps.check_payload_view, "check"),
            self.route("<uuid:pk>/resolve/review/", steps.review_step, "review"),
            self.route("<uuid:pk>/resolve/confirm/", outcome.confirm_view, "confirm"),
            self.route("<uuid:pk>/resolve/watch/", outcome.watch_step, "watch"),
            self.route("<uuid:pk>/resolve/watch/live/", outcome.watch_fragment, "watch_live"),
            self.route("<uuid:pk>/approval/", self.approval_view, "approval"),
            self.route("<uuid:pk>/status/", self.status_view, "status"),
            self.route("<uuid:pk>/attempts/<number:number>/", self.attempt_view, "attempt"),
            self.route("<uuid:pk>/attempts/<number:number>/raw/", texts.attempt_text, "raw"),
            self.route("<uuid:pk>/payload/", texts.payload_text, "payload"),
            self.route("<uuid:pk>/payload/<number:number>/", texts.payload_text, "revision"),
            self.route("<uuid:pk>/compare/", compare_view, "compare"),
            self.route("<uuid:pk>/change/", self.delivery_page, "change"),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest) -> QuerySet[Delivery]:
        page, rows = listing.rows_of(request)
        if page.error:
            raise BadRequest(page.error)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_delivery")
        page = listing.page_of(request)
        context = {
            "page": page,
            "tabs": listing.tabs(request, page.tab),
            "may_act": request.user.has_perm("deliveries.resolve_delivery"),
            "may_replay": request.user.has_perm("deliveries.replay_delivery"),
            "filter_query": urlencode(listing.resolved(page.filters)),
            **listing.choices(request),
            **saved_context(request, SavedView.Page.DELIVERY),
        }
        return render(request, "admin/deliveries/delivery/change_list.html", _("Deliveries"), context)

    def delivery_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        delivery = open_delivery(request, pk)
        context = page_context(delivery, request.user)
        awaiting, diagnosis = context["awaiting"], context["diagnosis"]
        context["suspects"] = existing_pointers(diagnosis.suspicious_fields if diagnosis else (), context["payload"])
        if awaiting is not None:
            context["awaiting_lines"] = describe_patch(awaiting.patch)[:30]
            context["may_decide"] = request.user.has_perm("deliveries.approve_revision")
            context["why_not"] = why_not_approver(awaiting, Actor.of_user(request.user))
        return render(
            request, "admin/deliveries/delivery/change_form.html", f"{delivery.topic} → {delivery.integration}", context
        )

    def status_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        delivery = open_delivery(request, pk)
        response = TemplateResponse(request, "admin/deliveries/delivery/status.html", {"delivery": delivery})
        if delivery.is_finished:
            response["X-Desk-Over"] = "1"
        return response

    def attempt_view(self, request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
        """The contents of one attempt, loaded when it is expanded."""
        delivery = open_delivery(request, pk)
        attempt = delivery.attempts.filter(number=number).first()
        if attempt is None:
            raise Http404
        context = {"shown": in_full(attempt, delivery)}
        return TemplateResponse(request, "admin/deliveries/delivery/attempt.html", context)

    @method_decorator(require_POST)
    def approval_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        delivery = open_delivery(request, pk, "deliveries.approve_revision")
        number = parse_number(request.POST.get("revision"), REVISION_LIMIT)
        revision = delivery.revisions.filter(number=number).first() if number else None
        if revision is None:
            raise Http404
        actor = Actor.of_user(request.user)
        try:
            if request.POST.get("decision") == "approve":
                approve_revision(revision=revision, actor=actor)
                messages.success(request, _("Revision %(number)s is approved and being sent.") % {"number": number})
            else:
                reject_revision(revision=revision, actor=actor, reason=request.POST.get("reason", ""))
                messages.success(request, _("Revision %(number)s is rejected. Nothing was sent.") % {"number": number})
        except ResolutionError as error:
            messages.error(request, error.message)
        return redirect("admin:deliveries_delivery_change", pk)
