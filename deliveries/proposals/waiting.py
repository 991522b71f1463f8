"""Everything that awaits a person's approval, whoever asked: edited payloads, bulk fixes, programs' proposals."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import QuerySet

from deliveries.access import visible_to
from deliveries.models import BulkFix, Proposal, Revision
from integrations.foundation.identifiers import parse_public_id

Row = Revision | BulkFix | Proposal


def waiting_revisions() -> QuerySet[Revision]:
    return Revision.objects.filter(is_awaiting_approval=True)


def waiting_fixes() -> QuerySet[BulkFix]:
    return BulkFix.objects.filter(status=BulkFix.Status.AWAITING)


def waiting_proposals() -> QuerySet[Proposal]:
    return Proposal.objects.filter(status=Proposal.Status.AWAITING)


def waiting() -> list[tuple[QuerySet[Any], str]]:
    """What waits, with the path from its rows to their store. All have `created_at`, `author` and `people`."""
    return [(waiting_revisions(), "delivery__store"), (waiting_fixes(), "store"), (waiting_proposals(), "store")]


def waiting_count(user: User, limit: int = 99) -> int:
    """How much waits in the stores that this person sees, counted to `limit` + 1."""
    number = 0
    for rows, path in waiting():
        if number <= limit:
            number += visible_to(rows, user, path=path).order_by().values("pk")[: limit + 1 - number].count()
    return number


def rows_of_store(store_id: uuid.UUID, status: str) -> list[QuerySet[Any]]:
    """What awaits approval in a store; of what was decided, the proposals."""
    proposals = Proposal.objects.filter(store_id=store_id, status=status).select_related("fix")
    if status != Proposal.Status.AWAITING:
        return [proposals]
    return [
        waiting_revisions().filter(delivery__store_id=store_id).defer("data"),
        waiting_fixes().filter(store_id=store_id),
        proposals,
    ]


_PREFIXES: Final = {"rev": Revision, "fix": BulkFix, "prop": Proposal}


def find_row(store_id: uuid.UUID, text: str) -> Row | None:
    """By `rev_…`, `fix_…` or `prop_…`, decided or not. Of a fix that was proposed, its proposal."""
    prefix = text.partition("_")[0]
    wanted = parse_public_id(prefix, text) if prefix in _PREFIXES else None
    if wanted is None:
        return None
    if prefix == "rev":
        rows = Revision.objects.select_related("delivery__store", "approved_by", "rejected_by")
        return rows.filter(pk=wanted, delivery__store_id=store_id).first()
    if prefix == "fix":
        proposal = _proposals(store_id).filter(fix=wanted).first()
        fixes = BulkFix.objects.select_related("store", "approved_by", "rejected_by")
        asked = fixes.exclude(status=BulkFix.Status.DRAFT).filter(pk=wanted, store_id=store_id)
        return proposal or asked.exclude(status=BulkFix.Status.SENT, decided_at=None).first()
    return _proposals(store_id).filter(pk=wanted).first()


def _proposals(store_id: uuid.UUID) -> QuerySet[Proposal]:
    return Proposal.objects.select_related("store", "fix", "replay").filter(store_id=store_id)
