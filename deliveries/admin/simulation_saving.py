"""The page on which a tried change is saved: alone, with a resend of what differs, or with a backfill."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from deliveries.admin.access import render, require
from deliveries.admin.replay_form import DEFAULT_RATE, RATES, canary_context, chosen_canary, without_grouping
from deliveries.admin.simulation_texts import needed_to_see
from deliveries.models import Delivery, Simulation
from deliveries.replay import ReplayError
from deliveries.simulation.service import (
    SimulationError,
    differing,
    period_end,
    save_and_backfill,
    save_and_resend,
    save_simulation,
)
from integrations.foundation.audit import Actor


def save_view(request: HttpRequest, simulation: Simulation) -> HttpResponse:
    """GET says what would follow; POST saves, and goes on to the progress of what it started."""
    then = (request.POST if request.method == "POST" else request.GET).get("then", "save")
    error = ""
    if request.method == "POST":
        try:
            return _saved(request, simulation, then)
        except (SimulationError, ReplayError) as problem:
            error = str(problem)
        except ValidationError as problem:
            error = " ".join(problem.messages)
    context = _context(request, simulation) | {"then": then, "error": error}
    return render(request, "admin/deliveries/simulation/save.html", _("Save the change"), context)


def _saved(request: HttpRequest, simulation: Simulation, then: str) -> HttpResponse:
    actor = Actor.of_user(request.user)
    if then == "save":
        save_simulation(simulation=simulation, actor=actor)
        messages.success(request, _("Saved. Applies to events from now on."))
        return redirect(f"admin:{needed_to_see(simulation.kind)[0]}_{simulation.kind}_change", _key(simulation))
    require(request, "deliveries.replay_delivery")
    written = request.POST.get("rate", "")
    course: dict[str, Any] = {
        "per_second": max(1, int(written)) if written.isdecimal() and len(written) < 6 else DEFAULT_RATE,
        "reason": request.POST.get("reason", "").strip()[:500],
        **chosen_canary(request),
    }
    if then == "resend":
        typed = without_grouping(request.POST.get("confirmed", ""))
        confirmed = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 8 else None
        replay = save_and_resend(simulation=simulation, actor=actor, confirmed=confirmed, **course)
    elif then == "backfill":
        replay = save_and_backfill(simulation=simulation, actor=actor, **course)
    else:
        raise SimulationError(_("Choose what happens after saving."))
    messages.success(request, _("Saved."))
    return redirect("admin:deliveries_replay_change", replay.pk)


def _context(request: HttpRequest, simulation: Simulation) -> dict[str, Any]:
    rows = differing(simulation)
    resent = rows.count()
    return {
        "simulation": simulation,
        "resent": resent,
        "delivered": rows.filter(status=Delivery.Status.SUCCEEDED).count(),
        "newly_matched": simulation.counts.get("newly_matched", 0),
        "oldest_at": simulation.oldest_at,
        "until": period_end(simulation),
        "may_replay": request.user.has_perm("deliveries.replay_delivery"),
        "rates": RATES,
        "rate": request.POST.get("rate", str(DEFAULT_RATE)),
        "reason": request.POST.get("reason", ""),
        "confirmed": request.POST.get("confirmed", ""),
        **canary_context(request, resent + simulation.counts.get("newly_matched", 0)),
    }


def _key(simulation: Simulation) -> Any:
    return uuid.UUID(simulation.target_id) if simulation.kind == Simulation.Kind.SUBSCRIPTION else simulation.target_id
