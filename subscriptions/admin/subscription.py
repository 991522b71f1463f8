"""The subscriptions of the desk. What is saved goes through the services, which check and keep the history."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.admin.base import DeskAdmin
from integrations.admin.fields import KnownRowField
from integrations.admin.forms import JSONText
from integrations.admin.keys import parse_number
from integrations.admin.lists import SEARCH_LIMIT
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Integration
from integrations.parameters import mask_parameters
from subscriptions import exported
from subscriptions.admin.versions import back_context, put_back, versions_context
from subscriptions.models import Subscription
from subscriptions.services import (
    create_subscription,
    delete_subscription,
    update_subscription,
)
from subscriptions.services.proposals import proposed_subscription

LISTED = 200
#: What the address of a form may give instead of what is saved: a change that was tried, and is not saved yet.
TYPED = ("topics", "intents", "event_names", "path", "filter", "transform")


class SubscriptionForm(forms.Form):
    """Lists are typed as words; the preview beside the form reads the same fields."""

    integration = KnownRowField(
        Integration.objects.none(),
        label=_("Integration"),
        help_text=_("Where matching events are sent."),
    )
    topics = forms.CharField(
        label=_("Topics"),
        required=False,
        help_text=_("shipment.updated, shipment.* or all; separate several with spaces."),
        widget=forms.TextInput(attrs={"list": "known-topics", "autocomplete": "off"}),
    )
    intents = forms.CharField(
        label=_("Intents"),
        required=False,
        help_text=_("Recognised by a chatbot: order_pizza. Separate several with spaces."),
    )
    event_names = forms.CharField(
        label=_("Event names"),
        required=False,
        help_text=_("For the topic event.created: the event_name of its data."),
    )
    path = forms.CharField(
        label=_("Path"),
        required=False,
        help_text=_("Appended to the integration’s URL: send_sms."),
    )
    filter = forms.CharField(
        label=_("Filter"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "code-small", "spellcheck": "false"}),
        help_text=_("JMESPath over the data; truthy results pass: status == 'ready'. Empty: everything passes."),
    )
    transform = forms.CharField(
        label=_("Transform"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "code-small", "spellcheck": "false"}),
        help_text=_("JMESPath whose result is sent: {phone: shipping_address.phone}. Empty: the data unchanged."),
    )
    parameters = JSONText(
        label=_("Parameters"),
        required=False,
        help_text=_("Merged over the integration’s. *** keeps a value unchanged."),
    )
    is_ordered = forms.BooleanField(
        label=_("Ordered"),
        required=False,
        help_text=_("Strictly one at a time per record; a failed delivery holds the later ones."),
    )
    poll_every = forms.IntegerField(
        label=_("Poll every"),
        required=False,
        help_text=_("Seconds; only for integrations in hub format. Empty: no polling."),
    )
    is_active = forms.BooleanField(label=_("Active"), required=False, initial=True)

    def __init__(self, *args: Any, integrations: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["integration"].queryset = integrations  # type: ignore[attr-defined]
        for name, field in self.fields.items():
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{name}-help"

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in ("integration", "topics", "intents", "path", "filter", "transform", "is_active")]

    @property
    def advanced(self) -> list[forms.BoundField]:
        return [self[name] for name in ("event_names", "parameters", "is_ordered", "poll_every")]

    @property
    def has_advanced_errors(self) -> bool:
        return any(field.errors for field in self.advanced)

    def values(self) -> dict[str, Any]:
        values = dict(self.cleaned_data)
        for name in ("topics", "intents", "event_names"):
            values[name] = words_of(values[name])
        return values

    def take_errors(self, error: ValidationError) -> None:
        found = error.message_dict if hasattr(error, "error_dict") else {None: error.messages}
        for name, sentences in found.items():
            self.add_error(name if name in self.fields else None, list(sentences))


def words_of(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


@admin.register(Subscription)
class SubscriptionAdmin(DeskAdmin):
    stock_pages = ("changelist", "add")
    export_order = exported.SUBSCRIPTIONS.order
    export_columns = exported.SUBSCRIPTIONS.columns

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(deleted_at=None).select_related("integration", "store")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<uuid:pk>/change/", self.edit_view, "change"),
            self.route("<uuid:pk>/delete/", self.remove_view, "delete"),
            self.route("<uuid:pk>/versions/", self.versions_view, "versions"),
            self.route("<uuid:pk>/versions/<number:number>/back/", self.back_view, "back"),
            *super().get_urls(),
        ]

    def export_rows(self, request: HttpRequest) -> Any:
        rows = self.get_queryset(request)
        if search := request.GET.get("q", "").strip()[:SEARCH_LIMIT]:
            rows = rows.filter(integration__name__icontains=search) | rows.filter(topics__icontains=search)
        return rows

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._require(request, "view")
        search = request.GET.get("q", "").strip()[:SEARCH_LIMIT]
        rows = self.export_rows(request).order_by("integration__name", "-created_at")
        context = {"rows": list(rows[:LISTED]), "search": search, "listed": LISTED}
        return self._page(request, "change_list", gettext("Subscriptions"), context)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self._require(request, "add")
        given = request.GET.get("integration", "")
        initial = {"integration": parse_number(given), "topics": request.GET.get("topics", "")}
        form = SubscriptionForm(
            request.POST or None, integrations=self._integrations(request), initial=initial | {"is_active": True}
        )
        if request.method == "POST" and form.is_valid():
            values = form.values()
            try:
                found = create_subscription(
                    store=values["integration"].store, actor=Actor.of_user(request.user), **values
                )
            except ValidationError as error:
                form.take_errors(error)
            else:
                messages.success(request, gettext("Subscribed. Events from now on are sent there."))
                return redirect("admin:subscriptions_subscription_change", found.pk)
        return self._page(request, "form", gettext("Add subscription"), {"form": form, "subscription": None})

    def edit_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        found = self._open(request, pk, "view")
        form = SubscriptionForm(
            request.POST or None,
            integrations=self._integrations(request, found),
            initial=_initial(found) | {name: request.GET[name] for name in TYPED if name in request.GET},
        )
        if request.method == "POST" and (answer := self._submitted(request, found, form)) is not None:
            return answer
        history = AuditEntry.objects.filter(target_type="subscription", target_id=str(pk))[:10]
        context = {
            "form": form,
            "subscription": found,
            "history": history,
            "may_change": self.has_change_permission(request),
        }
        return self._page(request, "form", str(found), context)

    def _submitted(self, request: HttpRequest, found: Subscription, form: SubscriptionForm) -> HttpResponse | None:
        """Save, or try it on past events first; None if there are errors to show."""
        is_tried = request.POST.get("then") == "try"
        if not is_tried:
            self._require(request, "change")
        if not form.is_valid():
            return None
        try:
            if is_tried:
                proposed_subscription(subscription=found, **form.values())
                # The same form goes on to the time machine.
                return redirect("admin:deliveries_simulation_of_subscription", found.pk, preserve_request=True)
            update_subscription(subscription=found, actor=Actor.of_user(request.user), **form.values())
        except ValidationError as error:
            form.take_errors(error)
            return None
        messages.success(request, gettext("Saved. Applies to events from now on."))
        return redirect("admin:subscriptions_subscription_change", found.pk)

    def versions_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        found = self._open(request, pk, "view")
        return self._page(request, "versions", gettext("Versions"), versions_context(request, found))

    def back_view(self, request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
        found = self._open(request, pk, "change")
        if request.method == "POST" and request.POST.get("then") == "try":
            address = reverse("admin:deliveries_simulation_of_subscription", args=[found.pk])
            return redirect(f"{address}?version={number}", preserve_request=True)
        if request.method == "POST" and put_back(request, found, number):
            return redirect("admin:subscriptions_subscription_versions", pk)
        title = gettext("Put version %(number)s back") % {"number": number}
        return self._page(request, "back", title, back_context(request, found, number))

    def remove_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        found = self._open(request, pk, "delete")
        if request.method == "POST":
            reason = request.POST.get("reason", "").strip()
            delete_subscription(subscription=found, actor=Actor.of_user(request.user), reason=reason)
            messages.success(request, gettext("Deleted. Its delivery history is kept."))
            return redirect("admin:subscriptions_subscription_changelist")
        return self._page(request, "delete", gettext("Delete a subscription"), {"subscription": found})

    def _open(self, request: HttpRequest, pk: uuid.UUID, action: str) -> Subscription:
        self._require(request, action)
        rows = self.get_queryset(request)
        if action == "delete":
            rows = rows.without_credentials()
        found = rows.filter(pk=pk).first()
        if found is None:
            raise Http404(gettext("This subscription does not exist. It may have been deleted."))
        return found

    def _require(self, request: HttpRequest, action: str) -> None:
        if not getattr(self, f"has_{action}_permission")(request):
            raise PermissionDenied

    def _integrations(self, request: HttpRequest, subscription: Subscription | None = None) -> Any:
        rows = self.choices_of(Integration, request).order_by("name")
        return rows if subscription is None else rows.filter(store_id=subscription.store_id)

    def _page(self, request: HttpRequest, name: str, title: str, context: dict[str, Any]) -> HttpResponse:
        frame = self.admin_site.each_context(request)
        template = f"admin/subscriptions/subscription/{name}.html"
        return TemplateResponse(request, template, {**frame, "title": title, **context})


def _initial(subscription: Subscription) -> dict[str, Any]:
    shown = mask_parameters(subscription.parameters)
    return {
        "integration": subscription.integration_id,
        "topics": " ".join(subscription.topics),
        "intents": " ".join(subscription.intents),
        "event_names": " ".join(subscription.event_names),
        "path": subscription.path,
        "filter": subscription.filter,
        "transform": subscription.transform,
        "parameters": json.dumps(shown, indent=2, ensure_ascii=False) if shown else "",
        "is_ordered": subscription.is_ordered,
        "poll_every": subscription.poll_every,
        "is_active": subscription.is_active,
    }
