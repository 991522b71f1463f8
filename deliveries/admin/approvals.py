"""The inbox of what awaits approval: edited payloads in batches, bulk fixes, and what programs propose."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries import hooks
from deliveries.admin.access import open_delivery, render, require
from deliveries.admin.proposals import decide_batch, decision_of, tell_skipped
from deliveries.proposals.inbox import BATCHES, fixes_for, proposals_for
from deliveries.resolution.approval_inbox import (
    DECIDED_AT_ONCE,
    LOOKED_AT,
    Batch,
    batches_for,
    decide,
    samples_of,
)
from integrations.foundation.written import grouped

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
    return render(request, "admin/deliveries/approvals/list.html", _("Awaiting approval"), context)


def batch_view(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The edits of the batch that this delivery is in, to be looked at and ticked."""
    delivery = open_delivery(request, pk)
    found_batches = batches_for(request.user)  # type: ignore[arg-type]  # staff only
    batch = next((batch for batch in found_batches if delivery.pk in batch.deliveries), None)
    if batch is None:
        messages.info(request, _("Nothing of this batch awaits approval any more."))
        return redirect("admin:deliveries_approvals")
    shown = batch.ids[:DECIDED_AT_ONCE]
    found = samples_of(shown)
    context: dict[str, Any] = {
        "batch": batch,
        "samples": [found[pk] for pk in shown if pk in found],
        "may_decide": request.user.has_perm(APPROVES) and not batch.is_own,
        "may_reject": request.user.has_perm(APPROVES),
    }
    return render(request, "admin/deliveries/approvals/batch.html", _("Awaiting approval"), context)


def _batch(request: HttpRequest, key: str) -> Batch | None:
    found = batches_for(request.user)  # type: ignore[arg-type]  # staff only
    return next((batch for batch in found if batch.key == key), None)


def _decided(request: HttpRequest) -> HttpResponse:
    decision = decision_of(request)
    ids = _chosen(request)
    if not ids:
        messages.warning(request, _("Nothing was selected, or it has been decided meanwhile. Nothing was changed."))
        return redirect("admin:deliveries_approvals")
    reason = request.POST.get("reason", "")[:1_000]
    report = decide(ids=ids, decision=decision, user=request.user, reason=reason)  # type: ignore[arg-type]  # staff
    if report.done:
        said = _approved(report.done) if decision == "approve" else _rejected(report.done)
        messages.success(request, said % {"number": grouped(report.done)})
    tell_skipped(request, report)
    return redirect("admin:deliveries_approvals")


def _approved(number: int) -> str:
    return ngettext(
        "%(number)s edited payload approved and being sent.",
        "%(number)s edited payloads approved and being sent.",
        number,
    )


def _rejected(number: int) -> str:
    return ngettext(
        "%(number)s edited payload rejected. Nothing was sent.",
        "%(number)s edited payloads rejected. Nothing was sent.",
        number,
    )


def _chosen(request: HttpRequest) -> list[uuid.UUID]:
    """The ticked ones; or, from the list, those of a batch that were there when the page was made."""
    if ticked := request.POST.getlist("revision"):
        try:
            return [uuid.UUID(text) for text in ticked[:DECIDED_AT_ONCE]]
        except ValueError:
            raise Http404(_("An id is malformed. Reload the page.")) from None
    batch = _batch(request, request.POST.get("batch", ""))
    seen = request.POST.get("seen", "")
    if batch is None or not seen.isdecimal() or len(seen) > 9:
        return []
    # Oldest first: what was added since stands behind what the page counted.
    return batch.ids[: int(seen)]
