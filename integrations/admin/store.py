"""Stores with their tokens."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.admin import retention, shown_once
from integrations.admin.base import DeskAdmin, visible_store_ids
from integrations.admin.cells import drawn
from integrations.foundation.audit import Actor, record_change
from integrations.models import AccessToken, ConfigVersion, Store
from integrations.models.store import validate_overrides
from integrations.services import issue_token, withdraw_token
from integrations.services.approval_rule import (
    PERMISSION,
    ask_to_lift,
    confirm_lifting,
    refuse_lifting,
    require_approval,
    waiting_request,
    why_not_confirm,
)
from integrations.services.exports import columns

AUDITED = ("name", "singular_overrides", "is_reason_required", "is_approval_required")


class StoreForm(forms.ModelForm):
    class Meta:
        model = Store
        fields = ("name", "is_reason_required", "is_approval_required", "singular_overrides", "staff")
        widgets = {"singular_overrides": forms.Textarea(attrs={"rows": 2, "class": "code-small"})}

    def clean_singular_overrides(self) -> Any:
        """Checked again, as Django skips validators for empty values: an empty list is not an empty object."""
        given = self.cleaned_data["singular_overrides"]
        validate_overrides({} if given is None else given)
        return given or {}


@admin.register(Store)
class StoreAdmin(DeskAdmin):
    store_path = "self"
    stock_pages = ("changelist", "add", "change")
    form = StoreForm
    export_order = "created_at"
    export_columns = columns("id", "name", "is_reason_required", "is_approval_required", "created_at")
    list_display = ["name", "store_id", "reason_required", "approval_required", "created"]
    search_fields = ["name"]
    list_title = gettext_lazy("Stores")
    one_of_them = gettext_lazy("store")
    field_names = {
        "name": gettext_lazy("name"),
        "singular_overrides": gettext_lazy("singular overrides"),
        "staff": gettext_lazy("staff"),
    }
    empty_text = gettext_lazy("A store is the tenant that pushes: tokens, integrations and subscriptions belong to it.")
    change_form_template = "admin/integrations/store/change_form.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Staff limited to stores would not see what they created, or would widen their own limit.
        return super().has_add_permission(request) and visible_store_ids(request.user) is None

    @admin.display(description=gettext_lazy("reason required"), ordering="is_reason_required")
    def reason_required(self, store: Store) -> str:
        return _("yes") if store.is_reason_required else _("no")

    @admin.display(description=gettext_lazy("second approver"), ordering="is_approval_required")
    def approval_required(self, store: Store) -> str:
        return _("yes") if store.is_approval_required else _("no")

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, store: Store) -> SafeString:
        return drawn("clock", store.created_at)

    @admin.display(description=gettext_lazy("store id"), ordering="pk")
    def store_id(self, store: Store) -> str:
        return str(store.pk)

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Superusers decide who sees a store; others do not even see the list of staff."""
        return [] if request.user.is_superuser else ["staff"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Everything depends on it, including history: a store cannot be deleted here.
        return False

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<uuid:pk>/tokens/", self.issue_view, "issue"),
            self.route("<uuid:pk>/tokens/<uuid:token>/revoke/", self.revoke_view, "revoke"),
            self.route("<uuid:pk>/approval-rule/", self.approval_rule_view, "approval_rule"),
            self.route("<uuid:pk>/retention/", self.retention_view, "retention"),
            *super().get_urls(),
        ]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """An existing store's approval rule is changed by `approval_rule_view`, not by this form."""
        names = list(super().get_fields(request, obj))
        return [name for name in names if name != "is_approval_required"] if obj is not None else names

    def save_model(self, request: HttpRequest, obj: Store, form: Any, change: bool) -> None:
        ConfigVersion.lock()
        before = Store.objects.filter(pk=obj.pk).values(*AUDITED).first()
        if change:
            # Fields not in the form may have changed since they were read: do not write them back.
            obj.save(update_fields=[name for name in form.cleaned_data if name in AUDITED])
            obj.refresh_from_db(fields=AUDITED)
        else:
            super().save_model(request, obj, form, change)
        after = {name: getattr(obj, name) for name in AUDITED}
        if before != after:
            record_change(
                actor=Actor.of_user(request.user),
                action="change" if change else "create",
                target=obj,
                store=obj,
                before=before,
                after=after,
            )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = sorted(form.instance.staff.values_list("username", flat=True))
        super().save_related(request, form, formsets, change)
        after = sorted(form.instance.staff.values_list("username", flat=True))
        if before != after:
            record_change(
                actor=Actor.of_user(request.user),
                action="change staff",
                target=form.instance,
                store=form.instance,
                before={"staff": before},
                after={"staff": after},
            )

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        store = kwargs.get("obj")
        if store is not None:
            now = timezone.now()
            context.update(
                store=store,
                tokens=AccessToken.objects.filter(store=store).order_by("revoked_at", "-created_at")[:50],
                token_once=shown_once.take(request, f"token:{store.pk}"),
                scopes=AccessToken.Scope.choices,
                may_see=request.user.has_perm("integrations.view_accesstoken"),
                may_issue=request.user.has_perm("integrations.add_accesstoken"),
                may_revoke=request.user.has_perm("integrations.delete_accesstoken"),
                may_set_rule=request.user.has_perm(PERMISSION),
                lift_request=(lifting := waiting_request(store, now)),
                why_not_confirm=why_not_confirm(lifting, Actor.of_user(request.user)) if lifting else "",
                retention=retention.shown(store),
                now=now,
            )
        return super().render_change_form(request, context, *args, **kwargs)

    @method_decorator(require_POST)
    def issue_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        store = self._open(request, pk, "integrations.add_accesstoken")
        try:
            day = parse_date(request.POST.get("expires_at", ""))
        except ValueError:
            day = None
        try:
            _, text = issue_token(
                store=store,
                actor=Actor.of_user(request.user),
                name=request.POST.get("name", ""),
                scopes=request.POST.getlist("scopes"),
                expires_at=datetime.combine(day, time.min, UTC) if day else None,
                addresses=request.POST.get("addresses", "").replace(",", " ").split(),
            )
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        else:
            shown_once.keep(request, f"token:{pk}", text)
        return redirect("admin:integrations_store_change", pk)

    @method_decorator(require_POST)
    def revoke_view(self, request: HttpRequest, pk: uuid.UUID, token: uuid.UUID) -> HttpResponse:
        store = self._open(request, pk, "integrations.delete_accesstoken")
        found = AccessToken.objects.filter(store=store, pk=token, revoked_at=None).first()
        if found is None:
            raise Http404(_("This token does not exist or has already been revoked."))
        withdraw_token(token=found, actor=Actor.of_user(request.user))
        messages.success(request, _("%(name)s has been revoked and no longer works.") % {"name": found.name})
        return redirect("admin:integrations_store_change", pk)

    @method_decorator(require_POST)
    def approval_rule_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """`decision`: on, ask (to switch it off), confirm and refuse (what somebody has asked for)."""
        store = self._open(request, pk, PERMISSION)
        actor, decision = Actor.of_user(request.user), request.POST.get("decision", "")
        waiting = waiting_request(store, timezone.now())
        try:
            if decision == "on":
                require_approval(store=store, actor=actor)
                messages.success(request, _("Edited payloads now require a second approver."))
            elif decision == "ask":
                ask_to_lift(store=store, actor=actor, reason=request.POST.get("reason", ""))
                messages.success(request, _("Requested. The rule stays until someone else confirms here."))
            elif waiting is None or str(waiting.pk) != request.POST.get("request", ""):
                messages.warning(request, _("This request has already been decided or has expired."))
            elif decision == "confirm":
                confirm_lifting(request=waiting, actor=actor)
                messages.success(
                    request, _("Edited payloads are now sent immediately. Pending approvals stay pending.")
                )
            elif decision == "refuse":
                refuse_lifting(request=waiting, actor=actor)
                messages.success(request, _("The second approver is still required."))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect("admin:integrations_store_change", pk)

    def retention_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        return retention.retention_view(request, self._open(request, pk, "integrations.change_store"))

    def _open(self, request: HttpRequest, pk: uuid.UUID, permission: str) -> Store:
        if not request.user.has_perm(permission):
            raise PermissionDenied
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404(_("This store does not exist."))
        return found
