"""Proposals as staff decide them: in batches of what one token proposed for one reason."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import ngettext

from deliveries.access import visible_to
from deliveries.models import BulkFix, Delivery, Proposal
from deliveries.proposals.deciding import approve_proposal, reject_proposal
from deliveries.proposals.showing import lines_of, lines_of_fix
from deliveries.proposals.waiting import waiting_fixes, waiting_proposals
from deliveries.resolution import why_not_approver
from deliveries.resolution.approval_inbox import DECIDED_AT_ONCE, Decision, Report
from integrations.foundation.audit import Actor
from integrations.foundation.written import grouped
from integrations.models import Store

#: Proposals that the inbox looks at, oldest first, and batches that it shows; the others follow when these are decided.
LOOKED_AT: Final = 500
BATCHES: Final = 50
FIXES: Final = 50
ROWS: Final = 5


@dataclass(slots=True)
class Shown:
    """One proposal in the inbox; `delivery` is the one it is about, if it is about one and that still exists."""

    proposal: Proposal
    lines: list[str]
    delivery: Delivery | None = None


@dataclass(slots=True)
class ProposalBatch:
    """Proposals that wait together, oldest first; `why_not` is why this person cannot approve them."""

    key: str
    store: Store
    author: str
    reason: str
    action: str
    proposals: list[Proposal] = field(default_factory=list)
    rows: list[Shown] = field(default_factory=list)
    why_not: str = ""

    @property
    def title(self) -> str:
        """`Resend 12 deliveries`."""
        total = sum(one.total for one in self.proposals)
        return _title(self.action, total) % {"number": grouped(total)}

    @property
    def since(self) -> datetime:
        return self.proposals[0].created_at

    @property
    def count(self) -> int:
        return len(self.proposals)

    @property
    def count_now(self) -> int:
        """How many one click decides."""
        return min(self.count, DECIDED_AT_ONCE)


def _title(action: str, number: int) -> str:
    match action:
        case Proposal.Action.RETRY:
            return ngettext("Resend %(number)s delivery", "Resend %(number)s deliveries", number)
        case Proposal.Action.EDIT:
            return ngettext("Edit and resend %(number)s delivery", "Edit and resend %(number)s deliveries", number)
        case Proposal.Action.FIX:
            return ngettext("Fix and resend %(number)s delivery", "Fix and resend %(number)s deliveries", number)
        case Proposal.Action.DISCARD:
            return ngettext("Discard %(number)s delivery", "Discard %(number)s deliveries", number)
        case Proposal.Action.BACKFILL:
            return ngettext("Backfill %(number)s delivery", "Backfill %(number)s deliveries", number)
        case _:
            return ngettext("Deliver %(number)s delivery", "Deliver %(number)s deliveries", number)


def proposals_for(user: User) -> list[ProposalBatch]:
    """The batches in the stores that this person sees, the longest waiting first."""
    found: dict[str, ProposalBatch] = {}
    rows = visible_to(waiting_proposals(), user).select_related("store", "fix").order_by("created_at", "id")
    # Their arguments may hold whole payloads: read for those that are shown.
    for proposal in rows.defer("values")[:LOOKED_AT]:
        key = _key_of(proposal)
        if key not in found:
            if len(found) == BATCHES:
                continue
            action, why = proposal.action, why_not_approver(proposal, Actor.of_user(user))
            found[key] = ProposalBatch(key, proposal.store, proposal.author_name, proposal.reason, action, why_not=why)
        found[key].proposals.append(proposal)
    _add_rows(list(found.values()))
    return list(found.values())


def _key_of(proposal: Proposal) -> str:
    """What is for many deliveries is decided by itself."""
    alone = None if proposal.is_for_one else proposal.pk
    parts = (proposal.store_id, proposal.action, proposal.token_id, proposal.author_name, proposal.reason, alone)
    return sha256(repr(parts).encode()).hexdigest()[:24]


def _add_rows(batches: Sequence[ProposalBatch]) -> None:
    shown = [proposal for batch in batches for proposal in batch.proposals[:ROWS]]
    values = dict(Proposal.objects.filter(pk__in=[one.pk for one in shown]).values_list("pk", "values"))
    shown = [proposal for proposal in shown if proposal.pk in values]  # the others were pruned a moment ago
    for proposal in shown:
        proposal.values = values[proposal.pk]
    ids = [proposal.delivery_id for proposal in shown if proposal.delivery_id is not None]
    deliveries = Delivery.objects.select_related("event", "integration").in_bulk(ids)
    for batch in batches:
        batch.rows = [
            Shown(one, lines_of(one), deliveries.get(one.delivery_id) if one.delivery_id else None)
            for one in batch.proposals[:ROWS]
            if one.pk in values
        ]


def decide_proposals(
    *, ids: Sequence[uuid.UUID], decision: Decision, user: User, reason: str = "", now: datetime | None = None
) -> Report:
    """Approve, or reject, up to `DECIDED_AT_ONCE` of these, each on its own: one that cannot be decided leaves the
    others alone."""
    now, actor, report = now or timezone.now(), Actor.of_user(user), Report()
    rows = visible_to(Proposal.objects.filter(pk__in=list(ids)[:DECIDED_AT_ONCE]), user)
    for proposal in rows.defer("values").order_by("created_at", "id"):
        if decision == "approve":
            report.note(partial(approve_proposal, proposal=proposal, actor=actor, now=now))
        else:
            report.note(partial(reject_proposal, proposal=proposal, actor=actor, reason=reason, now=now))
    return report


@dataclass(frozen=True, slots=True)
class WaitingFix:
    """A bulk fix that awaits a second approver."""

    fix: BulkFix
    lines: list[str]
    why_not: str


def fixes_for(user: User) -> list[WaitingFix]:
    """Those in the stores that this person sees, the longest waiting first."""
    rows: Any = visible_to(waiting_fixes(), user).select_related("store").order_by("created_at", "id")
    actor = Actor.of_user(user)
    return [WaitingFix(fix, lines_of_fix(fix), why_not_approver(fix, actor)) for fix in rows[:FIXES]]
