"""How long a store keeps what happened: a form of its own, because shortening it deletes data for good."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from integrations.foundation.audit import Actor
from integrations.foundation.written import grouped
from integrations.models import Retention, Store
from integrations.services.retention import DAYS_LIMIT, KINDS, default_days, set_retention

LABELS = {
    "successes": (_("Successes"), _("Deliveries that succeeded, with attempts and events.")),
    "failures": (_("Failures"), _("Deliveries that failed, were discarded or superseded.")),
    "records": (
        _("Records"),
        _("Since their last change. The next push makes a deleted one anew."),
    ),
    "notifications": (_("Notifications"), _("Resolved ones.")),
    "audit": (_("Audit entries"), _("Who changed what.")),
}


class RetentionForm(forms.Form):
    """Days by kind; empty for the installation's default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in KINDS:
            label, what = LABELS[kind]
            self.fields[kind] = forms.IntegerField(
                label=gettext("%(kind)s, days") % {"kind": label},
                required=False,
                min_value=1,
                max_value=DAYS_LIMIT,
                help_text=f"{what} {_if_empty(kind)}",
                widget=forms.NumberInput(attrs={"class": "short", "aria-describedby": f"{kind}-help"}),
            )


def _if_empty(kind: str) -> str:
    return gettext("Empty: %(default)s.") % {"default": _default(kind)}


def _default(kind: str) -> str:
    days = default_days(kind)
    if days is None:
        return gettext("kept for ever")
    return ngettext(
        "%(number)s day, as in the whole installation", "%(number)s days, as in the whole installation", days
    ) % {"number": grouped(days)}


def _own(days: int) -> str:
    return ngettext("%(number)s day", "%(number)s days", days) % {"number": grouped(days)}


def shown(store: Store) -> list[tuple[str, str]]:
    """Label and time of each kind, for the store's page."""
    rule = Retention.objects.filter(store=store).first() or Retention(store=store)
    own = {kind: getattr(rule, kind) for kind in KINDS}
    return [(str(LABELS[kind][0]), _default(kind) if (days := own[kind]) is None else _own(days)) for kind in KINDS]


def retention_view(request: HttpRequest, store: Store) -> HttpResponse:
    """The caller has checked who may."""
    rule = Retention.objects.filter(store=store).first() or Retention(store=store)
    form = RetentionForm(request.POST or None, initial={kind: getattr(rule, kind) for kind in KINDS})
    if request.method == "POST" and form.is_valid():
        try:
            set_retention(store=store, actor=Actor.of_user(request.user), values=form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            messages.success(request, gettext("Saved. What is older is deleted within a day."))
            return redirect("admin:integrations_store_change", store.pk)
    title = gettext("Retention of %(store)s") % {"store": store.name}
    context = {**admin.site.each_context(request), "title": title, "store": store, "form": form}
    return TemplateResponse(request, "admin/integrations/store/retention.html", context)
