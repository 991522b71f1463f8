"""What programs propose, on the desk: one proposal to be looked at, and the decision."""

from __future__ import annotations

import json
import uuid
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.filters import FilterError
from deliveries.models import Delivery, Event, Proposal
from deliveries.proposals.actions import subscription_named, wanted_of
from deliveries.proposals.inbox import decide_proposals, proposals_for
from deliveries.proposals.showing import UNREADABLE, lines_of
from deliveries.replay import ReplayError, matching, preview
from deliveries.replay.backfill import preview_backfill
from deliveries.resolution import ResolutionError, payload_of, why_not_approver
from deliveries.resolution.approval_inbox import Decision, Report
from integrations.admin.diff import side_by_side
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.foundation.written import grouped

APPROVES = "deliveries.approve_revision"
SAMPLE: Final = 10


def proposal_view(request: HttpRequest, proposal: uuid.UUID) -> HttpResponse:
    """One proposal: what it would do now, and the decision."""
    require(request, "deliveries.view_delivery")
    rows = visible_to(Proposal.objects.select_related("store", "fix", "replay", "decided_by"), request.user)
    found = rows.filter(pk=proposal).first()
    if found is None:
        raise Http404(_("This proposal does not exist. It may have been pruned."))
    if request.method == "POST":
        require(request, APPROVES)
        decision, reason = decision_of(request), _reason(request)
        tell(request, decide_proposals(ids=[found.pk], decision=decision, user=_user(request), reason=reason))
        return redirect("admin:deliveries_proposal", found.pk)
    context = {
        "proposal": found,
        "lines": lines_of(found),
        "may_decide": request.user.has_perm(APPROVES),
        "why_not": why_not_approver(found, Actor.of_user(request.user)),
        **_shown(found),
    }
    title = _("Proposed: %(action)s") % {"action": found.get_action_display()}
    return render(request, "admin/deliveries/approvals/proposal.html", title, context)


def decide_batch(request: HttpRequest) -> HttpResponse:
    """A POST of the inbox about one of its batches: those that were there when the page was made."""
    decision = decision_of(request)
    batches = proposals_for(_user(request))
    batch = next((one for one in batches if one.key == request.POST.get("proposals")), None)
    seen = request.POST.get("seen", "")
    if batch is None or not seen.isdecimal() or len(seen) > 9:
        messages.warning(request, _("This has been decided meanwhile. Nothing was changed."))
    else:
        ids = [one.pk for one in batch.proposals[: int(seen)]]
        tell(request, decide_proposals(ids=ids, decision=decision, user=_user(request), reason=_reason(request)))
    return redirect("admin:deliveries_approvals")


def decision_of(request: HttpRequest) -> Decision:
    """Raises Http404 for anything else."""
    if request.POST.get("decision") == "approve":
        return "approve"
    if request.POST.get("decision") == "reject":
        return "reject"
    raise Http404(_("No such decision."))


def tell(request: HttpRequest, report: Report) -> None:
    """Say what became of a decision on proposals."""
    number = report.done
    if number:
        if request.POST.get("decision") == "approve":
            said = ngettext("%(number)s proposal approved.", "%(number)s proposals approved.", number)
        else:
            said = ngettext(
                "%(number)s proposal rejected. Nothing was sent.",
                "%(number)s proposals rejected. Nothing was sent.",
                number,
            )
        messages.success(request, said % {"number": grouped(number)})
    tell_skipped(request, report)


def tell_skipped(request: HttpRequest, report: Report) -> None:
    """Say why some could not be decided."""
    for why in list(dict.fromkeys(report.skipped))[:5]:
        number = report.skipped.count(why)
        said = ngettext("%(number)s left as it was: %(reason)s", "%(number)s left as they were: %(reason)s", number)
        messages.warning(request, said % {"number": grouped(number), "reason": why})


def _user(request: HttpRequest) -> Any:
    return request.user  # staff only


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "")[:1_000]


def _shown(proposal: Proposal) -> dict[str, Any]:
    """What the page shows besides the sentences: a diff, or what would be done now."""
    try:
        if proposal.delivery_id is not None:
            return _of_one(proposal)
        if proposal.action == Proposal.Action.DELIVER:
            wanted = parse_public_id("evt", proposal.values["event"])
            return {"event": Event.objects.filter(pk=wanted, store_id=proposal.store_id).first() if wanted else None}
        if not proposal.is_awaiting or proposal.action == Proposal.Action.FIX:
            return {}
        return _of_many(proposal)
    except (ReplayError, FilterError, ResolutionError) as error:
        return {"problem": str(error)}
    except UNREADABLE:
        return {"problem": _("What was proposed cannot be read.")}


def _of_one(proposal: Proposal) -> dict[str, Any]:
    assert proposal.delivery_id is not None
    found = Delivery.objects.select_related("event", "integration", "store").filter(pk=proposal.delivery_id).first()
    if found is None or proposal.action != Proposal.Action.EDIT:
        return {"delivery": found}
    try:
        before = payload_of(found, proposal.values["revision"]) if proposal.is_awaiting else found.event.data
    except LookupError:
        before = payload_of(found)
    return {"delivery": found, "rows": side_by_side(_pretty(before), _pretty(proposal.values["payload"]))}


def _of_many(proposal: Proposal) -> dict[str, Any]:
    values = proposal.values
    if proposal.action == Proposal.Action.BACKFILL:
        subscription = subscription_named(proposal, values["filters"]["subscription"])
        found = preview_backfill(subscription=subscription, wanted=wanted_of(values["filters"]))
        return {"subscription": subscription, "backfill": found}
    filters, action = values["filters"], proposal.action
    rows = matching(filters=filters, action=action).select_related("event", "integration").order_by("id")
    return {
        "preview": preview(filters=filters, action=action, per_second=values["per_second"]),
        "sample": list(rows[:SAMPLE]),
    }


def _pretty(payload: Any) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False)
