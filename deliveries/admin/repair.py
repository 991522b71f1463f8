"""After an integration was repaired: one failing delivery of it as a test, then all others at once."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.admin.detail import diagnosis_of, in_full
from deliveries.admin.replay_form import DEFAULT_RATE, RATES, canary_context, chosen_canary
from deliveries.models import Attempt, Delivery, Replay
from deliveries.replay import ReplayError, start_replay
from deliveries.replay.outage import NO_GROUP, Outage, filters_of, outage_of, try_repair
from deliveries.resolution import ResolutionError
from integrations.admin.keys import parse_uuid
from integrations.foundation.audit import Actor
from integrations.models import Integration

VIEW = "deliveries.view_delivery"
TEST = "deliveries.resolve_delivery"
RESEND = "deliveries.replay_delivery"


def repair_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The test and its result, and what else of the integration has not arrived; POST resends that."""
    require(request, VIEW)
    integration = _integration(request, pk)
    outage = outage_of(integration)
    tested = _tested(request, integration)
    error = ""
    if request.method == "POST":
        require(request, RESEND)
        try:
            replay = _resend(request, integration, outage)
            return redirect("admin:deliveries_replay_change", replay.pk)
        except ReplayError as problem:
            error = str(problem)
    elif not outage.groups and tested is None:
        return redirect("admin:integrations_integration_change", pk)
    context = {
        "integration": integration,
        "outage": outage,
        "rows": _rows(request, outage),
        "error": error,
        "may_test": request.user.has_perm(TEST),
        "may_resend": request.user.has_perm(RESEND),
        "rates": RATES,
        "rate": _rate(request),
        "reason": request.POST.get("reason", ""),
        **canary_context(request, outage.total),
        **_test_context(tested),
    }
    context["chosen_total"] = sum(row["count"] for row in context["rows"] if row["is_chosen"])
    return render(
        request,
        "admin/deliveries/replay/repair.html",
        _("Resend to %(integration)s") % {"integration": integration.name},
        context,
    )


@require_POST
def test_repair_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Send one failing delivery now, and show what becomes of it."""
    require(request, TEST)
    integration = _integration(request, pk)
    page = reverse("admin:deliveries_replay_repair", args=[pk])
    preferred = parse_uuid(request.POST.get("resolve", ""))
    try:
        tested = try_repair(integration=integration, actor=Actor.of_user(request.user), preferred=preferred)
    except ResolutionError as problem:
        messages.error(request, problem.message)
        return redirect(page)
    if tested is None:
        messages.info(request, _("Nothing of it can be sent as a test now."))
        return redirect(page)
    return redirect(f"{page}?tested={tested.pk}")


def test_result_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The result of the test, while it arrives."""
    require(request, VIEW)
    integration = _integration(request, pk)
    tested = _tested(request, integration)
    if tested is None:
        raise Http404(_("This delivery does not exist."))
    context = {"integration": integration, "may_test": request.user.has_perm(TEST), **_test_context(tested)}
    response = TemplateResponse(request, "admin/deliveries/replay/repair_test.html", context)
    if not context["is_under_way"]:
        response["X-Desk-Over"] = "1"
    return response


def _integration(request: HttpRequest, pk: int) -> Integration:
    rows = visible_to(Integration.objects.alive().select_related("store", "health"), request.user)
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404(_("This integration does not exist. It may have been deleted."))
    return found


def _tested(request: HttpRequest, integration: Integration) -> Delivery | None:
    pk = parse_uuid(request.GET.get("tested", ""))
    if pk is None:
        return None
    rows = visible_to(Delivery.objects.filter(integration=integration), request.user)
    return rows.select_related("event", "store", "integration__health", "subscription").filter(pk=pk).first()


def _test_context(tested: Delivery | None) -> dict[str, Any]:
    if tested is None:
        return {"tested": None, "is_under_way": False}
    is_under_way = tested.status in (Delivery.Status.PENDING, Delivery.Status.SENDING)
    last = None if is_under_way else tested.attempts.exclude(outcome=Attempt.Outcome.RUNNING).order_by("number").last()
    shown = in_full(last, tested) if last is not None else None
    return {
        "tested": tested,
        "is_under_way": is_under_way,
        "shown": shown,
        "diagnosis": diagnosis_of(tested, [shown]) if shown is not None else None,
    }


def _rows(request: HttpRequest, outage: Outage) -> list[dict[str, Any]]:
    """Ticked is what a repair of the integration may have cured, or what was ticked before an error."""
    chosen = set(request.POST.getlist("group")) if request.method == "POST" else None
    return [
        {
            "key": each.key,
            "group": each.group,
            "count": each.count,
            "is_cured": each.is_cured,
            "is_chosen": each.is_cured if chosen is None else each.key in chosen,
        }
        for each in outage.groups
    ]


def _resend(request: HttpRequest, integration: Integration, outage: Outage) -> Replay:
    known = {each.key for each in outage.groups}
    wanted = {key for key in request.POST.getlist("group") if key == NO_GROUP or key.isdecimal()} & known
    if not wanted:
        raise ReplayError(_("Nothing was started: tick at least one failure."))
    return start_replay(
        # All of them is everything of the integration, whatever group it is in by then.
        filters=filters_of(integration, None if wanted == known else wanted),
        action=Replay.Action.RETRY,
        actor=Actor.of_user(request.user),
        store=integration.store,
        per_second=_rate(request),
        reason=request.POST.get("reason", "").strip(),
        **chosen_canary(request),
    )


def _rate(request: HttpRequest) -> int:
    text = request.POST.get("rate", "")
    return int(text) if text.isdecimal() and int(text[:6]) in RATES else DEFAULT_RATE
