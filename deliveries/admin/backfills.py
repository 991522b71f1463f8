"""The page that starts a backfill: a period, what is missing in it, and how fast."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.admin.access import render, require
from deliveries.admin.past_events import period_of, subscription_for
from deliveries.admin.replay_form import DEFAULT_RATE, RATES, canary_context, chosen_canary
from deliveries.replay import ReplayError
from deliveries.replay.backfill import BackfillPreview, Wanted, preview_backfill, start_backfill
from integrations.admin.lists import SEARCH_LIMIT
from integrations.foundation.audit import Actor

#: Why events of the period get no delivery, in the order of the page.
WORDS = {
    "already": _("delivered or on their way already"),
    "topic": _("about other topics"),
    "intent": _("with other intents"),
    "event_name": _("with other event names"),
    "filter": _("turned away by the filter"),
    "loop": _("stopped because they were in a loop"),
    "own_answer": _("caused by the receiver’s own responses"),
}


def backfill_view(request: HttpRequest, subscription: uuid.UUID) -> HttpResponse:
    """GET shows what is missing; POST makes it, and goes on to the progress."""
    require(request, "deliveries.replay_delivery")
    found = subscription_for(request, subscription)
    given = (request.POST if request.method == "POST" else request.GET).dict()
    period = period_of(given)
    topic, search = (given.get(name, "").replace("\0", "").strip()[:SEARCH_LIMIT] for name in ("topic", "q"))
    wanted = Wanted(period.since, period.until, topic, search, is_again="again" in given)
    rate = int(given["rate"]) if given.get("rate", "").isdecimal() and len(given["rate"]) < 6 else DEFAULT_RATE
    error, preview = period.problem, None
    try:
        if request.method == "POST" and not error:
            replay = start_backfill(
                subscription=found,
                wanted=wanted,
                actor=Actor.of_user(request.user),
                per_second=max(1, rate),
                reason=given.get("reason", "").strip()[:500],
                **chosen_canary(request),
            )
            return redirect("admin:deliveries_replay_change", replay.pk)
    except ReplayError as problem:
        error = str(problem)
    try:
        preview = preview_backfill(subscription=found, wanted=wanted)
    except ReplayError as problem:
        error = error or str(problem)
    context = {
        "subscription": found,
        "fields": period.written | {"topic": topic, "q": search},
        "is_again": wanted.is_again,
        "preview": preview,
        "left_out": _left_out(preview),
        "error": error,
        "rates": RATES,
        "rate": rate,
        "reason": given.get("reason", ""),
        **canary_context(request, preview.missing if preview else 0),
    }
    return render(request, "admin/deliveries/replay/backfill.html", gettext("Backfill"), context)


def _left_out(preview: BackfillPreview | None) -> list[tuple[Any, int]]:
    counts = preview.counts if preview else {}
    return [(words, counts[code]) for code, words in WORDS.items() if counts.get(code)]
