"""The wizard's last step (live outcome) and its other exits: resend, discard, wait."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.access import visible_to
from deliveries.admin.access import open_delivery, render, require
from deliveries.admin.detail import PERMISSIONS, possible_actions
from deliveries.admin.wizard import drafts
from deliveries.admin.wizard.steps import PERMISSION, wizard_page
from deliveries.failures.cases import case_of
from deliveries.models import Delivery, FailureGroup, Replay
from deliveries.replay import ReplayError, outcome_of, start_replay
from deliveries.resolution import (
    ResolutionError,
    alike,
    discard_delivery,
    release_hold,
    retry_delivery,
    visit,
    wait_for_source,
)
from deliveries.stats.queries import COUNT_LIMIT, capped_count, shown_count
from integrations.foundation.audit import Actor

ROWS_SHOWN = 25
TITLES = {
    "retry": gettext_lazy("Resend as it is"),
    "discard": gettext_lazy("Discard"),
    "wait": gettext_lazy("Wait for a fix at the source"),
}


def watch_step(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Step 4: the outcome, live."""
    delivery = open_delivery(request, pk, PERMISSION)
    return wizard_page(request, delivery, "watch", _outcome(request, delivery))


def watch_fragment(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    delivery = open_delivery(request, pk, PERMISSION)
    context = {"delivery": delivery, **_outcome(request, delivery)}
    response = TemplateResponse(request, "admin/deliveries/wizard/watch_live.html", context)
    if not context["is_changing"]:
        response["X-Desk-Over"] = "1"
    elif context["is_over"]:
        response["X-Desk-Every"] = "5"
    return response


def _outcome(request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
    draft = drafts.load(request, delivery) or drafts.Draft()
    ids = [uuid.UUID(text) for text in draft.sent] or [delivery.pk]
    rows = visible_to(Delivery.objects.filter(pk__in=ids), request.user)
    statuses = Counter(rows.values_list("status", flat=True))
    replay = Replay.objects.filter(pk=draft.replay).first() if draft.replay else None
    awaiting = delivery.revisions.filter(is_awaiting_approval=True).first()
    under_way = sum(statuses[status] for status in (Delivery.Status.PENDING, Delivery.Status.SENDING))
    is_replaying = replay is not None and replay.status in (Replay.Status.RUNNING, Replay.Status.PAUSED)
    outcome = outcome_of(replay) if replay is not None else None
    is_over = not under_way and not is_replaying and not (outcome and outcome.under_way)
    group = case_of(draft.group or delivery.failure_group_id)
    rest = capped_count(Delivery.objects.filter(failure_group=group).failing()) if group else 0
    shown = rows.select_related("event", "integration").defer("event__data").order_by("status", "-id")[:ROWS_SHOWN]
    done = statuses[Delivery.Status.SUCCEEDED]
    return {
        "rows": shown,
        "total": len(ids),
        "succeeded": done,
        "under_way": under_way,
        "retrying": statuses[Delivery.Status.RETRYING],
        "failed": statuses[Delivery.Status.FAILED],
        "settled": len(ids) - under_way,
        "left_alone": draft.left_alone,
        "awaiting": awaiting,
        "group": group,
        "replay": replay,
        "rest": rest,
        "rest_text": shown_count(rest),
        "next_group": _next_group(request, group),
        "outcome": outcome,
        "is_over": is_over,
        # A later retry or approval updates the page without user action.
        "is_changing": not is_over or statuses[Delivery.Status.RETRYING] or (outcome and outcome.retrying) or awaiting,
    }


def _next_group(request: HttpRequest, group: FailureGroup | None) -> FailureGroup | None:
    rows = visible_to(FailureGroup.objects.awake(timezone.now()), request.user)
    if group is not None:
        rows = rows.exclude(pk=group.pk)
    return rows.select_related("integration").order_by("-last_at").first()


def confirm_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Resend, discard, wait or release: confirmed on a page, done by POST."""
    action = request.POST.get("action") or request.GET.get("action", "retry")
    if action not in PERMISSIONS or action == "edit":
        action = "retry"
    delivery = open_delivery(request, pk, PERMISSIONS[action])
    error = None
    if request.method == "POST":
        try:
            return _act(request, delivery, action)
        except (ResolutionError, ReplayError) as problem:
            error = problem
            delivery = open_delivery(request, pk, PERMISSIONS[action])
            if action == "release":
                messages.error(request, str(problem))
                return redirect("admin:deliveries_delivery_change", pk)
    number = capped_count(alike(delivery)) if action in ("retry", "discard") else 0
    context = {
        "delivery": delivery,
        "action": action,
        "error": error,
        "reason": request.POST.get("reason", ""),
        "is_possible": possible_actions(delivery, request.user)[action],
        "may_replay": request.user.has_perm("deliveries.replay_delivery"),
        "alike_count": number,
        "alike_text": shown_count(number),
        "total": number + 1,
        "count_limit": COUNT_LIMIT,
        "is_reason_required": action == "discard" and delivery.store.is_reason_required,
        "visitors": visit(delivery, request.user),
    }
    return render(request, "admin/deliveries/wizard/confirm.html", str(TITLES.get(action, action)), context)


def _act(request: HttpRequest, delivery: Delivery, action: str) -> HttpResponse:
    actor = Actor.of_user(request.user)
    reason = request.POST.get("reason", "").strip()
    seen = request.POST.get("seen_attempts", "")
    expected = int(seen) if seen.isdecimal() and len(seen) < 10 else None
    group = delivery.failure_group_id
    result = drafts.Draft(sent=[str(delivery.pk)], group=group)
    if "alike" in request.POST and group and action in ("retry", "discard"):
        require(request, "deliveries.replay_delivery")
        filters = {"group": str(group), "status": "failed,retrying"}
        replay = start_replay(filters=filters, action=action, actor=actor, store=delivery.store, reason=reason)
        result.replay = str(replay.pk)
    elif action == "retry":
        retry_delivery(delivery=delivery, actor=actor, reason=reason, expected_attempt_count=expected)
    elif action == "discard":
        discard_delivery(delivery=delivery, actor=actor, reason=reason, expected_attempt_count=expected)
    elif action == "wait":
        wait_for_source(delivery=delivery, actor=actor, reason=reason)
    else:
        release_hold(delivery=delivery, actor=actor, reason=reason)
        messages.success(request, _("It is being sent now, ahead of the earlier deliveries of its record."))
        return redirect("admin:deliveries_delivery_change", delivery.pk)
    drafts.save(request, delivery, result)
    return redirect("admin:deliveries_delivery_watch", delivery.pk)
