"""Pages about past events: those that nobody got, those that a filter turned away, and delivering one by hand."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.explaining.lists import nobody_got, turned_away
from deliveries.models import Delivery, Event
from deliveries.replay import ReplayError
from deliveries.replay.backfill import deliver_event
from integrations.admin.keys import parse_uuid
from integrations.admin.lists import SEARCH_LIMIT
from integrations.foundation.audit import Actor
from integrations.security.staff import visible_store_ids
from subscriptions.models import Subscription

DAY = timedelta(days=1)
LISTED = 200


@dataclass(frozen=True, slots=True)
class Period:
    """What two fields of a form say, `since` and `until`, in the viewer's time zone; by default the last day."""

    since: datetime
    until: datetime
    problem: str = ""

    @property
    def written(self) -> dict[str, str]:
        """For fields of the type datetime-local."""
        return {name: f"{timezone.localtime(getattr(self, name)):%Y-%m-%dT%H:%M}" for name in ("since", "until")}


def period_of(given: dict[str, str]) -> Period:
    now = timezone.now()
    since, until = _moment(given.get("since", "")), _moment(given.get("until", ""))
    problems = []
    if given.get("since", "").strip() and not since:
        problems.append(_("From: write a time as 2026-01-31T08:00."))
    if given.get("until", "").strip() and not until:
        problems.append(_("Until: write a time as 2026-01-31T08:00."))
    end = until or now
    return Period(since or end - DAY, end, " ".join(problems))


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text.strip())
        if moment is None and (day := parse_date(text.strip())):
            moment = datetime.combine(day, time.min)
        if moment is None or not 1970 < moment.year < 9000:
            return None
        return moment if moment.tzinfo else timezone.make_aware(moment)
    except ValueError:
        return None


def subscription_for(request: HttpRequest, pk: uuid.UUID) -> Subscription:
    """One that the viewer may see, without credentials."""
    require(request, "subscriptions.view_subscription")
    rows = Subscription.objects.alive().without_credentials().select_related("integration", "store")
    found = visible_to(rows, request.user).filter(pk=pk).first()
    if found is None:
        raise Http404(_("This subscription does not exist. It may have been deleted."))
    return found


def nobody_view(request: HttpRequest) -> HttpResponse:
    """Events without any delivery, with a reason each."""
    require(request, "deliveries.view_event")
    period = period_of(request.GET.dict())
    topic, search = (request.GET.get(name, "").replace("\0", "").strip()[:SEARCH_LIMIT] for name in ("topic", "q"))
    page = nobody_got(
        stores=visible_store_ids(request.user),
        since=period.since,
        until=period.until,
        topic=topic,
        q=search,
        before=parse_uuid(request.GET.get("before", "")),
    )
    shown = period.written | {"topic": topic, "q": search}
    context = {
        "rows": page.rows,
        "fields": shown,
        "problem": period.problem,
        "older": urlencode(shown | {"before": str(page.older)}) if page.older else "",
    }
    return render(request, "admin/deliveries/event/nobody.html", _("Events nobody got"), context)


def turned_away_view(request: HttpRequest, subscription: uuid.UUID) -> HttpResponse:
    """Events that a subscription's filter turned away, with the values that it looked at."""
    require(request, "deliveries.view_event")
    found = subscription_for(request, subscription)
    period = period_of(request.GET.dict())
    page = turned_away(
        subscription=found,
        since=period.since,
        until=period.until,
        before=parse_uuid(request.GET.get("before", "")),
    )
    context = {
        "subscription": found,
        "rows": page.rows,
        "fields": period.written,
        "problem": period.problem,
        "older": urlencode(period.written | {"before": str(page.older)}) if page.older else "",
    }
    return render(request, "admin/deliveries/event/turned_away.html", _("Turned away by the filter"), context)


def deliver_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Choose a subscription that gets this event, too."""
    require(request, "deliveries.replay_delivery")
    event = visible_to(Event.objects.select_related("store"), request.user).filter(pk=pk).first()
    if event is None:
        raise Http404(_("This event does not exist. It may have been pruned."))
    rows = Subscription.objects.alive().without_credentials().filter(store=event.store, is_active=True)
    choices = list(rows.select_related("integration", "store").order_by("integration__name", "created_at")[:LISTED])
    chosen = (request.POST or request.GET).get("subscription", "")
    error = ""
    if request.method == "POST":
        found = next((one for one in choices if str(one.pk) == chosen), None)
        try:
            if found is None:
                raise ReplayError(_("Choose a subscription."))
            made = deliver_event(
                event=event,
                subscription=found,
                actor=Actor.of_user(request.user),
                reason=request.POST.get("reason", "").strip()[:500],
                is_again="again" in request.POST,
            )
        except ReplayError as problem:
            error = str(problem)
        else:
            messages.success(request, _("It is on its way to %(name)s.") % {"name": found.integration.name})
            return redirect("admin:deliveries_delivery_change", made.pk)
    got = set(Delivery.objects.filter(event=event).values_list("subscription_id", flat=True))
    context = {
        "event": event,
        "choices": [(one, one.pk in got) for one in choices],
        "chosen": chosen,
        "error": error,
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "admin/deliveries/event/deliver.html", _("Deliver to another subscription"), context)
