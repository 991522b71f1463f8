"""Trying things out: a test delivery to an integration, a subscription against a real event."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.admin.detail import in_full
from deliveries.models import Attempt, Event
from deliveries.previews.ping import ping_now
from deliveries.previews.preview import Preview, preview
from deliveries.simulation.choosing import find_events
from integrations.admin.keys import parse_number, parse_uuid
from integrations.admin.lists import SEARCH_LIMIT
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
        raise Http404(_("This integration does not exist."))
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
    title = _("Test of %(name)s") % {"name": integration.name}
    return render(request, "admin/deliveries/delivery/test.html", title, context)


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
        return {"hint": _("Choose an integration.")}
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
        return {"hint": _("Write a topic or an intent.")}
    may_choose = request.user.has_perm("deliveries.view_event")
    written = request.POST.get("event", "").replace("\0", "").strip()[:SEARCH_LIMIT] if may_choose else ""
    saved = _saved(request, integration)
    candidates = find_events(store=integration.store, text=written, subscription=saved)
    if written and not candidates:
        text = _("No event of %(store)s is found by “%(text)s”.")
        return {"hint": text % {"store": integration.store.name, "text": written}}
    found, shown = _first_match(subscription, candidates, is_picked=bool(written))
    if found is None or shown is None:
        text = _("%(store)s has no event yet. Push one to see it here.")
        return {"hint": text % {"store": integration.store.name}}
    text = shown.request.body.decode(errors="replace") if shown.request else ""
    return {
        "preview": shown,
        "event": found,
        "body_text": text,
        "looked_at": EVENTS_LOOKED_AT,
        "is_picked": bool(written),
        "others": [event for event in candidates if event.pk != found.pk] if may_choose else [],
    }


def _saved(request: HttpRequest, integration: Integration) -> Subscription | None:
    """The subscription that the form is about: its own last event comes first."""
    rows = visible_to(Subscription.objects.alive().without_credentials(), request.user)
    pk = parse_uuid(request.POST.get("subscription", ""))
    return rows.filter(pk=pk, store=integration.store).first() if pk is not None else None


def _first_match(
    subscription: Subscription, candidates: list[Event], *, is_picked: bool
) -> tuple[Event | None, Preview | None]:
    """The chosen event; or the subscription's own last one, and if it does not match, the latest that does."""
    now = timezone.now()
    found, shown = None, None
    others = Event.objects.filter(store=subscription.store, erased_at=None).order_by("-id")
    for event in candidates[:1] if is_picked else chain(candidates[:1], others[:EVENTS_LOOKED_AT]):
        candidate = preview(subscription=subscription, event=event, now=now)
        if shown is None or candidate.matches:
            found, shown = event, candidate
        if candidate.matches:
            break
    return found, shown
