"""Approving and rejecting proposals. Programs never approve, whatever their token may do."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.filters import FilterError
from deliveries.models import Proposal
from deliveries.proposals.actions import perform
from deliveries.recipes.sending import drop_proposed
from deliveries.replay import ReplayError
from deliveries.resolution import ResolutionError, why_not_approver
from integrations.foundation.audit import Actor, record_change

Status = Proposal.Status


def approve_proposal(*, proposal: Proposal, actor: Actor, now: datetime | None = None) -> Proposal:
    """Do what was proposed, now. Raises ResolutionError: then nothing has changed, and it still awaits a decision."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(proposal)
        if objection := why_not_approver(found, actor):
            raise ResolutionError("not_allowed", objection)
        try:
            perform(found, actor, now)
        except (ReplayError, FilterError) as error:
            raise ResolutionError("conflict", str(error)) from None
        _decide(found, Status.APPROVED, actor, now)
    return found


def reject_proposal(*, proposal: Proposal, actor: Actor, reason: str = "", now: datetime | None = None) -> Proposal:
    """Nothing happens. Whoever proposed it may take it back so. Raises ResolutionError if it was decided before."""
    now = now or timezone.now()
    with transaction.atomic():
        found = _locked(proposal)
        if found.fix is not None:
            drop_proposed(fix=found.fix, actor=actor, now=now, reason=reason)
        _decide(found, Status.REJECTED, actor, now, reason)
    return found


def _decide(proposal: Proposal, status: str, actor: Actor, now: datetime, reason: str = "") -> None:
    proposal.status = status
    proposal.decided_by, proposal.decided_by_name, proposal.decided_at = actor.user, actor.name, now
    proposal.decision_reason = reason.strip()
    proposal.save()
    action = "approve" if status == Status.APPROVED else "reject"
    after = {"action": proposal.action, "deliveries": proposal.total, "proposed_by": proposal.author_name}
    record_change(actor=actor, action=action, target=proposal, store=proposal.store, after=after, reason=reason.strip())


def _decided(proposal: Proposal) -> str:
    if proposal.status == Status.APPROVED:
        return _("This has been approved by %(person)s.") % {"person": proposal.decided_by_name}
    return _("This has been rejected by %(person)s.") % {"person": proposal.decided_by_name}


def _locked(proposal: Proposal) -> Proposal:
    rows = Proposal.objects.select_for_update(of=("self",)).select_related("store", "author", "fix")
    found = rows.get(pk=proposal.pk)
    if not found.is_awaiting:
        raise ResolutionError("conflict", _decided(found))
    return found
