"""The sources of the desk."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations import exported
from integrations.admin import shown_once
from integrations.admin.base import DeskAdmin
from integrations.admin.lists import SEARCH_LIMIT
from integrations.admin.source_form import SourceForm, initial_of
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Source, Store
from integrations.services import (
    create_source,
    delete_source,
    rotate_address,
    rotate_source_secret,
    update_source,
)
from integrations.sources import SOURCE_KINDS

LISTED = 200


@admin.register(Source)
class SourceAdmin(DeskAdmin):
    search_fields = ["name", "slug", "kind"]
    stock_pages = ("changelist", "add")
    export_columns = exported.SOURCES.columns

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request).filter(deleted_at=None).select_related("store")
        return rows.prefetch_related("counts")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<number:pk>/change/", self.edit_view, "change"),
            self.route("<number:pk>/switch/", self.switch_view, "switch"),
            self.route("<number:pk>/secret/", self.secret_view, "secret"),
            self.route("<number:pk>/address/", self.address_view, "address"),
            self.route("<number:pk>/delete/", self.remove_view, "delete"),
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
        return self._page(request, "change_list", _("Sources"), context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """First choose the kind on cards; then fill in its form."""
        self._require(request, "add")
        kind = SOURCE_KINDS.get(request.GET.get("kind", ""))
        if kind is None:
            return self._page(request, "kinds", _("Add a source"), {"kinds": list(SOURCE_KINDS.values())})
        stores = self.choices_of(Store, request).order_by("name")
        form = SourceForm(kind, request.POST or None, stores=stores)
        if request.method == "POST" and form.is_valid():
            actor = Actor.of_user(request.user)
            try:
                source = create_source(store=form.cleaned_data["store"], actor=actor, **form.values())
            except ValidationError as error:
                form.take_errors(error)
            else:
                return self._created(request, source, form)
        title = _("Add %(kind)s") % {"kind": _(kind.label)}
        return self._page(request, "form", title, {"form": form, "kind": kind})

    def _created(self, request: HttpRequest, source: Source, form: SourceForm) -> HttpResponse:
        secrets = source.active_secrets(timezone.now())
        if secrets and not form.cleaned_data["secret"]:
            shown_once.keep(request, f"source:{source.pk}", secrets[0])
        done = _("%(name)s is set up. Enter its address at the sender.") % {"name": source.name}
        messages.success(request, done)
        return redirect("admin:integrations_source_change", source.pk)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Page and form in one. With view permission only, there are no buttons."""
        source = self._open(request, pk, "view")
        kind = SOURCE_KINDS.get(source.kind)
        if kind is None:
            return self._page(request, "gone", source.name, {"source": source})
        form = SourceForm(kind, request.POST or None, stores=None, source=source, initial=initial_of(source))
        if request.method == "POST":
            self._require(request, "change")
            if form.is_valid() and self._save(request, source, form):
                return redirect("admin:integrations_source_change", pk)
        may_change = self.has_change_permission(request)
        context = {**self._facts(request, source), "form": form, "kind": kind, "may_change": may_change}
        return self._page(request, "change_form", source.name, context)

    def _save(self, request: HttpRequest, source: Source, form: SourceForm) -> bool:
        try:
            update_source(source=source, actor=Actor.of_user(request.user), **form.values())
        except ValidationError as error:
            form.take_errors(error)
            return False
        messages.success(request, _("Saved. Used from the next request."))
        return True

    def _facts(self, request: HttpRequest, source: Source) -> dict[str, Any]:
        now = timezone.now()
        history = AuditEntry.objects.filter(target_type="source", target_id=str(source.pk))
        valid = Q(expires_at=None) | Q(expires_at__gt=now)
        old = source.addresses.filter(expires_at__gt=now).defer("token").order_by("-id")
        return {
            "source": source,
            "address": source.address,
            "old_addresses": old,
            "secrets": source.secrets.filter(valid).defer("value").order_by("-id"),
            "secret_once": shown_once.take(request, f"source:{source.pk}"),
            "history": history[:10],
        }

    @method_decorator(require_POST)
    def switch_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._open(request, pk, "change")
        update_source(source=source, actor=Actor.of_user(request.user), is_enabled=not source.is_enabled)
        if source.is_enabled:
            messages.success(request, _("Enabled. Requests are taken again."))
        else:
            messages.success(request, _("Disabled. Requests are answered 410."))
        return redirect("admin:integrations_source_change", pk)

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._open(request, pk, "change")
        if request.method == "POST":
            try:
                secret = rotate_source_secret(source=source, actor=Actor.of_user(request.user), now=timezone.now())
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            else:
                shown_once.keep(request, f"source:{pk}", secret)
            return redirect("admin:integrations_source_change", pk)
        text = _(
            "The new secret is shown only once. For 24 hours the old one still proves requests, so you can update the "
            "sender without losing one."
        )
        return self._confirm(request, source, _("New secret"), text, _("Create a new secret"))

    def address_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._open(request, pk, "change")
        if request.method == "POST":
            rotate_address(source=source, actor=Actor.of_user(request.user), now=timezone.now())
            messages.success(request, _("The source has a new address. The old one works for 24 hours."))
            return redirect("admin:integrations_source_change", pk)
        text = _("For 24 hours the old address works too; enter the new one at the sender by then.")
        return self._confirm(request, source, _("New address"), text, _("Create a new address"))

    def remove_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        source = self._open(request, pk, "delete")
        if request.method == "POST":
            delete_source(source=source, actor=Actor.of_user(request.user))
            messages.success(request, _("%(name)s has been deleted. Its events are kept.") % {"name": source.name})
            return redirect("admin:integrations_source_changelist")
        text = _("Its address stops working at once: the sender gets 404. Events that came from it are kept.")
        button = _("Delete %(name)s") % {"name": source.name}
        return self._confirm(request, source, _("Delete"), text, button, is_dangerous=True)

    def _confirm(
        self, request: HttpRequest, source: Source, title: str, text: str, button: str, *, is_dangerous: bool = False
    ) -> HttpResponse:
        context = {"source": source, "step": title, "text": text, "button": button, "is_dangerous": is_dangerous}
        return self._page(request, "confirm", f"{title}: {source.name}", context)

    def _open(self, request: HttpRequest, pk: int, action: str) -> Source:
        self._require(request, action)
        found: Source | None = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404(_("This source does not exist. It may have been deleted."))
        return found

    def _require(self, request: HttpRequest, action: str) -> None:
        if not getattr(self, f"has_{action}_permission")(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
        frame = self.admin_site.each_context(request)
        template = f"admin/integrations/source/{name}.html"
        return TemplateResponse(request, template, {**frame, "title": title, **context})
