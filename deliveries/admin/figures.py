"""The figures of one integration: what it accepted, delivered and failed, how fast, and whether that is enough."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.stats.budgets import budgets
from deliveries.stats.figures import figures
from deliveries.stats.queries import WINDOWS
from integrations.foundation.audit import Actor
from integrations.models import Integration
from integrations.services.objectives import (
    BACKLOG_LIMIT,
    MOST_DAYS,
    WAIT_LIMIT,
    WITHIN_CHOICES,
    objectives_of,
    set_objectives,
)

LABELS = {"1h": _("1 h"), "24h": _("24 h"), "7d": _("7 d"), "30d": _("30 d")}
TITLES = {"1h": _("Last hour"), "24h": _("Last 24 hours"), "7d": _("Last 7 days"), "30d": _("Last 30 days")}
NOTHING = {
    "1h": _("Nothing has been delivered in the last hour."),
    "24h": _("Nothing has been delivered in the last 24 hours."),
    "7d": _("Nothing has been delivered in the last 7 days."),
    "30d": _("Nothing has been delivered in the last 30 days."),
}


def figures_view(request: HttpRequest, pk: int) -> HttpResponse:
    integration = _integration(request, pk)
    return _page(request, integration, {})


@require_POST
def objectives_view(request: HttpRequest, pk: int) -> HttpResponse:
    integration = _integration(request, pk)
    if not _may_set(request):
        raise PermissionDenied("integrations.change_integration")
    try:
        set_objectives(integration=integration, actor=Actor.of_user(request.user), **_values(request))
    except ValidationError as error:
        problems = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        return _page(request, integration, {"typed": request.POST.dict(), "problems": problems}, status=400)
    text = gettext("Saved. Objectives are checked every minute; you are notified when one is missed.")
    messages.success(request, text)
    return redirect("admin:deliveries_delivery_figures", pk)


def _integration(request: HttpRequest, pk: int) -> Integration:
    """One that the viewer may see, without credentials."""
    require(request, "deliveries.view_delivery")
    require(request, "integrations.view_integration")
    rows = Integration.objects.alive().without_credentials().select_related("store", "health")
    found = visible_to(rows, request.user).filter(pk=pk).first()
    if found is None:
        raise Http404(gettext("This integration does not exist. It may have been deleted."))
    return found


def _may_set(request: HttpRequest) -> bool:
    return request.user.has_perm("integrations.change_integration")


def _page(request: HttpRequest, integration: Integration, more: dict[str, Any], status: int = 200) -> HttpResponse:
    now = timezone.now()
    window = request.GET.get("window", "24h")
    window = window if window in WINDOWS else "24h"
    objectives = objectives_of(integration)
    context = {
        "integration": integration,
        "window": window,
        "window_title": TITLES[window],
        "nothing_text": NOTHING[window],
        "windows": LABELS.items(),
        "found": figures(integration=integration, window=window, now=now),
        "objectives": objectives,
        "budget": budgets([objectives], now).get(integration.pk),
        "within_choices": WITHIN_CHOICES.items(),
        "within_text": WITHIN_CHOICES.get(objectives.within, ""),
        "limits": {"days": MOST_DAYS, "backlog": BACKLOG_LIMIT, "wait": WAIT_LIMIT},
        "may_set": _may_set(request),
        "typed": _written(objectives),
        "typed_target": "" if objectives.target is None else number_format(f"{objectives.target:g}"),
        **more,
    }
    title = gettext("Figures of %(name)s") % {"name": integration.name}
    response = render(request, "admin/deliveries/figures.html", title, context)
    response.status_code = status
    return response


def _written(objectives: Any) -> dict[str, Any]:
    """As fields of the form show them."""
    optional = {"target": objectives.target, "max_backlog": objectives.max_backlog, "max_wait": objectives.max_wait}
    shown = {name: "" if value is None else f"{value:g}" for name, value in optional.items()}
    return {**shown, "within": str(objectives.within), "days": str(objectives.days)}


def _values(request: HttpRequest) -> dict[str, Any]:
    """Empty: no such objective. What is no number goes on as it is: the service says what is wrong with it."""
    found: dict[str, Any] = {}
    for name in ("target", "max_backlog", "max_wait", "within", "days"):
        text = request.POST.get(name, "").strip().replace(",", ".")[:40]
        if not text and name in ("within", "days"):
            continue
        found[name] = _number(text, is_whole=name != "target") if text else None
    return found


def _number(text: str, *, is_whole: bool) -> int | float | str:
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        return text
