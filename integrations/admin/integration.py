"""The integrations of the desk."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations import exported
from integrations.admin import shown_once, turn
from integrations.admin.base import DeskAdmin
from integrations.admin.forms import IntegrationForm, initial_of, kinds
from integrations.admin.lists import SEARCH_LIMIT
from integrations.connectors import CONNECTORS
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Integration, Store
from integrations.parameters import mask_parameters
from integrations.services import (
    create_integration,
    delete_integration,
    disable_integration,
    enable_integration,
    rotate_secret,
    update_integration,
)
from integrations.services.proposals import proposed_integration
from integrations.wire_formats import WIRE_FORMATS

LISTED = 200


@admin.register(Integration)
class IntegrationAdmin(DeskAdmin):
    search_fields = ["name", "slug", "url"]
    stock_pages = ("changelist", "add")
    export_columns = exported.INTEGRATIONS.columns

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(deleted_at=None).select_related("store", "health")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<number:pk>/change/", self.edit_view, "change"),
            self.route("<number:pk>/switch/", self.switch_view, "switch"),
            self.route("<number:pk>/secret/", self.secret_view, "secret"),
            self.route("<number:pk>/delete/", self.remove_view, "delete"),
            self.route("<number:pk>/handshake/", self.handshake_view, "handshake"),
            self.route("<number:pk>/turn/", self.turn_view, "turn"),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest) -> Any:
        rows = self.get_queryset(request)
        if search := request.GET.get("q", "").strip()[:SEARCH_LIMIT]:
            rows, _ = self.get_search_results(request, rows, search)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._require(request, "view")
        search = request.GET.get("q", "").strip()[:SEARCH_LIMIT]
        rows = self.export_rows(request).order_by("name")
        context = {"rows": list(rows[:LISTED]), "search": search, "listed": LISTED}
        return self._page(request, "change_list", _("Integrations"), context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First choose the kind on cards; then fill in its form."""
        self._require(request, "add")
        kind = request.GET.get("kind", "")
        if kind not in WIRE_FORMATS and kind not in CONNECTORS:
            return self._page(request, "kinds", _("Add an integration"), {"sections": kinds()})
        form = IntegrationForm(kind, request.POST or None, stores=self._stores(request))
        if request.method == "POST" and form.is_valid():
            try:
                integration = create_integration(
                    store=form.cleaned_data["store"], actor=Actor.of_user(request.user), **form.values()
                )
            except ValidationError as error:
                form.take_errors(error)
            else:
                return self._created(request, integration)
        label = _((CONNECTORS.get(kind) or WIRE_FORMATS[kind]).label)
        title = _("Add %(kind)s") % {"kind": label}
        return self._page(request, "form", title, {"form": form, "kind": kind, "label": label})

    def _created(self, request: HttpRequest, integration: Integration) -> HttpResponse:
        if secrets := integration.active_secrets(timezone.now()):
            shown_once.keep(request, f"secret:{integration.pk}", secrets[0])
        done = _("%(name)s is set up. Send a test, then subscribe it to topics.") % {"name": integration.name}
        messages.success(request, done)
        return redirect("admin:integrations_integration_change", integration.pk)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Page and form in one. With view permission only, there are no buttons."""
        integration = self._open(request, pk, "view")
        kind = integration.connector or integration.wire_format
        if not integration.connector and request.GET.get("kind") in WIRE_FORMATS:
            kind = request.GET["kind"]
        may_change = self.has_change_permission(request)
        initial = initial_of(integration, mask_parameters(integration.parameters))
        form = IntegrationForm(
            kind, request.POST or None, stores=self._stores(request), integration=integration, initial=initial
        )
        back = request.POST.get("resolve") or request.GET.get("resolve", "")
        if request.method == "POST":
            self._require(request, "change")
            if request.POST.get("then") == "try" and form.is_valid() and self._is_possible(integration, form):
                address = reverse("admin:deliveries_simulation_of_integration", args=[pk])
                return redirect(f"{address}?{urlencode({'kind': kind})}", preserve_request=True)
            if request.POST.get("then") != "try" and form.is_valid() and self._save(request, integration, form):
                if request.POST.get("then") == "test":
                    # The same form goes on to the test as a POST: it sends a delivery.
                    return redirect("admin:deliveries_replay_repair_test", pk, preserve_request=True)
                if back:
                    return redirect(self._wizard(back))
                return redirect("admin:integrations_integration_change", pk)
        facts = self._facts(request, integration)
        context = {**facts, "form": form, "may_change": may_change, "resolve": back}
        if not integration.connector:
            context |= {"formats": list(WIRE_FORMATS.values()), "kind": kind}
        return self._page(request, "change_form", integration.name, context)

    def _save(self, request: HttpRequest, integration: Integration, form: IntegrationForm) -> bool:
        try:
            update_integration(integration=integration, actor=Actor.of_user(request.user), **form.values())
        except ValidationError as error:
            form.take_errors(error)
            return False
        messages.success(request, _("Saved. Used from the next attempt."))
        return True

    def _is_possible(self, integration: Integration, form: IntegrationForm) -> bool:
        try:
            proposed_integration(integration=integration, **form.values())
        except ValidationError as error:
            form.take_errors(error)
            return False
        return True

    def _wizard(self, delivery: str) -> str:
        """Return to the delivery that led here, to resend it."""
        try:
            return reverse("admin:deliveries_delivery_confirm", args=[uuid.UUID(delivery)]) + "?action=retry"
        except ValueError:
            return reverse("admin:integrations_integration_changelist")

    def _facts(self, request: HttpRequest, integration: Integration) -> dict[str, Any]:
        now = timezone.now()
        history = AuditEntry.objects.filter(target_type="integration", target_id=str(integration.pk))
        return {
            "integration": integration,
            "secret_once": shown_once.take(request, f"secret:{integration.pk}"),
            "secrets": integration.secrets.filter(Q(expires_at=None) | Q(expires_at__gt=now)).order_by("-id"),
            "history": history[:10],
            "is_turn": integration.adapter.has_handshake,
        }

    @method_decorator(require_POST)
    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        integration = self._open(request, pk, "change")
        actor = Actor.of_user(request.user)
        if integration.is_enabled:
            reason = request.POST.get("reason", "").strip() or f"disabled by {actor.name}"
            disable_integration(integration=integration, reason=reason, actor=actor)
            messages.success(request, _("Disabled. Pushes are still stored; deliveries wait."))
        else:
            enable_integration(integration=integration, actor=actor)
            messages.success(request, _("Enabled. Waiting deliveries are being sent."))
            if request.POST.get("then") == "resend":
                return redirect("admin:deliveries_replay_repair", pk)
        return redirect("admin:integrations_integration_change", pk)

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        integration = self._open(request, pk, "change")
        if request.method == "POST":
            try:
                secret = rotate_secret(integration=integration, actor=Actor.of_user(request.user), now=timezone.now())
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                shown_once.keep(request, f"secret:{pk}", secret)
            return redirect("admin:integrations_integration_change", pk)
        title = _("New secret for %(name)s") % {"name": integration.name}
        return self._page(request, "secret", title, {"integration": integration})

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        integration = self._open(request, pk, "delete")
        if request.method == "POST":
            reason = request.POST.get("reason", "").strip()
            delete_integration(integration=integration, actor=Actor.of_user(request.user), reason=reason)
            done = _("%(name)s has been deleted. Its delivery history is kept.") % {"name": integration.name}
            messages.success(request, done)
            return redirect("admin:integrations_integration_changelist")
        title = _("Delete %(name)s") % {"name": integration.name}
        return self._page(request, "delete", title, {"integration": integration})

    @method_decorator(require_POST)
    def handshake_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        integration = self._open(request, pk, "change")
        turn.ask_again(request, integration)
        return redirect("admin:integrations_integration_change", pk)

    def turn_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        integration = self._open(request, pk, "change")
        title = _("Try %(name)s") % {"name": integration.name}
        return self._page(request, "turn", title, turn.turn_context(request, integration))

    def _open(self, request: HttpRequest, pk: int, action: str) -> Integration:
        self._require(request, action)
        rows = self.get_queryset(request)
        if action == "delete":
            rows = rows.without_credentials()
        found = rows.filter(pk=pk).first()
        if found is None:
            raise Http404(_("This integration does not exist. It may have been deleted."))
        return found

    def _require(self, request: HttpRequest, action: str) -> None:
        if not getattr(self, f"has_{action}_permission")(request):
            raise PermissionDenied

    def _stores(self, request: HttpRequest) -> Any:
        return self.choices_of(Store, request).order_by("name")

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
        frame = self.admin_site.each_context(request)
        return TemplateResponse(
            request, f"admin/integrations/integration/{name}.html", {**frame, "title": title, **context}
        )
