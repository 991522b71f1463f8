"""The inbox of what awaits approval: edited payloads in batches, bulk fixes, and what programs propose."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from deliveries import hooks
from deliveries.admin.access import open_delivery, render, require
from deliveries.admin.proposals import decide_batch, decision_of
from deliveries.proposals.inbox import BATCHES, fixes_for, proposals_for
from deliveries.resolution.approval_inbox import (
    DECIDED_AT_ONCE,
    LOOKED_AT,
    Batch,
    batches_for,
    decide,
    samples_of,
)

APPROVES = "deliveries.approve_revision"


def approvals_view(request: HttpRequest) -> HttpResponse:
    """All batches; POST decides one of them."""
    require(request, "deliveries.view_delivery")
    if request.method == "POST":
        require(request, APPROVES)
        return decide_batch(request) if "proposals" in request.POST else _decided(request)
    hooks.page_opened(request.user.pk, request.path, timezone.now())  # type: ignore[arg-type]  # staff only
    batches = batches_for(request.user)  # type: ignore[arg-type]  # staff only
    proposals = proposals_for(request.user)  # type: ignore[arg-type]
    context = {
        "proposals": proposals,
        "is_cut": len(proposals) == BATCHES,
        "fixes": fixes_for(request.user),  # type: ignore[arg-type]
        "batches": batches,
        "total": sum(batch.count for batch in batches),
        "is_capped": sum(batch.count for batch in batches) >= LOOKED_AT,
        "may_decide": request.user.has_perm(APPROVES),
    }
    return render(request, "admin/deliveries/approvals/list.html", "Awaiting approval", context)


def batch_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The edits of the batch that this delivery is in, to be looked at and ticked."""
    delivery = open_delivery(request, pk)
    found_batches = batches_for(request.user)  # type: ignore[arg-type]  # staff only
    batch = next((batch for batch in found_batches if delivery.pk in batch.deliveries), None)
    if batch is None:
        messages.info(request, "Nothing of this batch awaits approval any more.")
        return redirect("admin:deliveries_approvals")
    shown = batch.ids[:DECIDED_AT_ONCE]
    found = samples_of(shown)
    context: dict[str, Any] = {
        "batch": batch,
        "samples": [found[pk] for pk in shown if pk in found],
        "may_decide": request.user.has_perm(APPROVES) and not batch.is_own,
        "may_reject": request.user.has_perm(APPROVES),
    }
    return render(request, "admin/deliveries/approvals/batch.html", "Awaiting approval", context)


def _batch(request: HttpRequest, key: str) -> Batch | None:
    found = batches_for(request.user)  # type: ignore[arg-type]  # staff only
    return next((batch for batch in found if batch.key == key), None)


def _decided(request: HttpRequest) -> HttpResponse:
    decision = decision_of(request)
    ids = _chosen(request)
    if not ids:
        messages.warning(request, "Nothing was selected, or it has been decided meanwhile. Nothing was changed.")
        return redirect("admin:deliveries_approvals")
    reason = request.POST.get("reason", "")[:1_000]
    report = decide(ids=ids, decision=decision, user=request.user, reason=reason)  # type: ignore[arg-type]  # staff
    word = "approved and being sent" if decision == "approve" else "rejected. Nothing was sent"
    if report.done:
        messages.success(request, f"{report.done:,} edited payload{'' if report.done == 1 else 's'} {word}.")
    for why in list(dict.fromkeys(report.skipped))[:5]:
        number = report.skipped.count(why)
        messages.warning(request, f"{number:,} left as {'it was' if number == 1 else 'they were'}: {why}")
    return redirect("admin:deliveries_approvals")


def _chosen(request: HttpRequest) -> list[uuid.UUID]:
    """The ticked ones; or, from the list, those of a batch that were there when the page was made."""
    if ticked := request.POST.getlist("revision"):
        try:
            return [uuid.UUID(text) for text in ticked[:DECIDED_AT_ONCE]]
        except ValueError:
            raise Http404("An id is malformed. Reload the page.") from None
    batch = _batch(request, request.POST.get("batch", ""))
    seen = request.POST.get("seen", "")
    if batch is None or not seen.isdecimal() or len(seen) > 9:
        return []
    # Oldest first: what was added since stands behind what the page counted.
    return batch.ids[: int(seen)]
