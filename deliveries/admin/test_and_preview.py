"""Trying things out: a test delivery to an integration, a subscription against a real event."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.admin.detail import in_full
from deliveries.models import Attempt, Event
from deliveries.previews.ping import ping_now
from deliveries.previews.preview import preview
from integrations.admin.keys import parse_number
from integrations.models import Integration
from integrations.wire_formats.base import PayloadError
from subscriptions.models import Subscription
from subscriptions.services.values import clean_values

#: Recent events searched for a match.
EVENTS_LOOKED_AT = 50


def test_view(request: HttpRequest, pk: int) -> HttpResponse:
    """POST sends a test and waits for it; GET shows the last one, request next to response."""
    require(request, "integrations.change_integration")
    integration = visible_to(Integration.objects.alive(), request.user).filter(pk=pk).first()
    if integration is None:
        raise Http404("This integration does not exist.")
    if request.method == "POST":
        try:
            ping_now(integration=integration, now=timezone.now())
        except PayloadError as error:
            messages.error(request, error.message)
            return redirect("admin:integrations_integration_change", pk)
        return redirect("admin:deliveries_delivery_test", pk)
    tests = Attempt.objects.filter(delivery__integration=integration, trigger="test")
    last = tests.select_related("delivery__event", "delivery__subscription").order_by("-id").first()
    if last is not None:
        last.delivery.integration = integration
    context = {"integration": integration, "shown": in_full(last, last.delivery) if last else None}
    return render(request, "admin/deliveries/delivery/test.html", f"Test of {integration.name}", context)


@require_POST
def preview_view(request: HttpRequest) -> HttpResponse:
    """What the unsaved subscription form would do with the latest matching event. Changes nothing."""
    require(request, "subscriptions.view_subscription")
    context = _previewed(request)
    return TemplateResponse(request, "admin/deliveries/delivery/preview.html", context)


def _previewed(request: HttpRequest) -> dict[str, Any]:
    number = parse_number(request.POST.get("integration"))
    rows = visible_to(Integration.objects.alive().select_related("store"), request.user)
    integration = rows.filter(pk=number).first() if number else None
    if integration is None:
        return {"hint": "Choose an integration."}
    values: dict[str, Any] = {
        name: request.POST.get(name, "").replace(",", " ").split() for name in ("topics", "intents", "event_names")
    }
    values |= {name: request.POST.get(name, "") for name in ("path", "filter", "transform")}
    try:
        cleaned = clean_values(values, integration.store)
    except ValidationError as error:
        return {"errors": [f"{name}: {' '.join(found)}" for name, found in error.message_dict.items()]}
    subscription = Subscription(store=integration.store, integration=integration, **cleaned)
    if not subscription.topics and not subscription.intents:
        return {"hint": "Write a topic or an intent."}
    now = timezone.now()
    events = Event.objects.filter(store=integration.store, erased_at=None).order_by("-id")[:EVENTS_LOOKED_AT]
    found, shown = None, None
    for event in events:
        candidate = preview(subscription=subscription, event=event, now=now)
        if shown is None or candidate.matches:
            found, shown = event, candidate
        if candidate.matches:
            break
    if shown is None:
        return {"hint": f"{integration.store.name} has no event yet. Push one to see it here."}
    text = shown.request.body.decode(errors="replace") if shown.request else ""
    return {"preview": shown, "event": found, "body_text": text, "looked_at": EVENTS_LOOKED_AT}
