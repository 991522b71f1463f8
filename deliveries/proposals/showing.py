"""What awaits approval, in words: for the desk's inbox and for the API."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from deliveries.models import BulkFix, Proposal, Revision
from deliveries.recipes.rules import RuleError, parse_rules
from integrations.foundation.identifiers import public_id
from integrations.foundation.json_documents import describe_patch
from integrations.foundation.json_places import as_spelled
from integrations.foundation.written import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


LINES: Final = 8
#: What reading the values of a proposal raises that a later version, or nobody, understands.
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)
#: What `lines_of` says of filters that are not shown by their own name.
_HIDDEN: Final = {"store"}
_WORDS: Final[Mapping[str, StrPromise]] = {
    "q": gettext_lazy("search"),
    "group": gettext_lazy("case"),
    "ids": gettext_lazy("only"),
    "since": gettext_lazy("from"),
    "until": gettext_lazy("made before"),
    "again": gettext_lazy("also what was delivered before"),
}


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that a person decides: an edited payload, a bulk fix, or a program's proposal.

    `changes` are sentences, `patch` is a JSON Patch of an edit; `result` is the id of what it became, if it is for
    many.
    """

    id: str
    action: str
    status: str
    author: str
    reason: str
    total: int
    created_at: datetime
    delivery: str | None = None
    changes: list[str] = field(default_factory=list)
    patch: list[dict[str, Any]] | None = None
    result: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""


def approval_of(row: Revision | BulkFix | Proposal) -> Approval:
    """As everything that awaits approval is shown."""
    if isinstance(row, Revision):
        return _of_revision(row)
    return _of_fix(row) if isinstance(row, BulkFix) else _of_proposal(row)


def _of_revision(row: Revision) -> Approval:
    decider = row.approved_by or row.rejected_by
    return Approval(
        id=public_id("rev", row.pk),
        action=Proposal.Action.EDIT,
        status="awaiting" if row.is_awaiting_approval else "rejected" if row.rejected_at else "approved",
        author=row.author_name,
        reason=row.reason,
        total=1,
        created_at=row.created_at,
        delivery=_delivery(row.delivery_id),
        changes=describe_patch(row.patch)[:LINES],
        patch=row.patch,
        decided_by=decider.get_username() if decider else None,
        decided_at=row.approved_at or row.rejected_at,
    )


def _of_fix(row: BulkFix) -> Approval:
    decider = row.approved_by or row.rejected_by
    return Approval(
        id=row.public_id,
        action=Proposal.Action.FIX,
        status={"awaiting": "awaiting", "rejected": "rejected"}.get(row.status, "approved"),
        author=row.author_name,
        reason=row.reason,
        total=row.total,
        created_at=row.created_at,
        changes=lines_of_fix(row),
        result=row.public_id,
        decided_by=decider.get_username() if decider else None,
        decided_at=row.decided_at,
    )


def _of_proposal(row: Proposal) -> Approval:
    return Approval(
        id=row.public_id,
        action=row.action,
        status=row.status,
        author=row.author_name,
        reason=row.reason,
        total=row.total,
        created_at=row.created_at,
        delivery=_delivery(row.delivery_id) if row.delivery_id else None,
        changes=lines_of(row),
        patch=row.values.get("patch") if isinstance(row.values, dict) else None,
        result=row.fix.public_id if row.fix is not None else result_of(row),
        decided_by=row.decided_by_name or None,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
    )


def result_of(proposal: Proposal) -> str | None:
    """The bulk resend, discard or backfill that it became."""
    return public_id("blk", proposal.replay_id) if proposal.replay_id is not None else None


def _delivery(pk: uuid.UUID) -> str:
    return public_id("dlv", pk)


def lines_of(proposal: Proposal) -> list[str]:
    """What is proposed, as people read it: a few short sentences. One that cannot be read keeps no page from others."""
    try:
        return _LINES[proposal.action](proposal)
    except UNREADABLE:
        return [_("What was proposed cannot be read: reject it.")]


def _edit(proposal: Proposal) -> list[str]:
    lines = describe_patch(proposal.values["patch"])[:LINES]
    return [*lines, _("The store's record is updated too.")] if proposal.values["update_record"] else lines


def _retry(proposal: Proposal) -> list[str]:
    return [_("Resend the same payload.")] if "filters" not in proposal.values else _filters(proposal)


def _discard(proposal: Proposal) -> list[str]:
    return [_("Resolve it without sending.")] if "filters" not in proposal.values else _filters(proposal)


def _filters(proposal: Proposal) -> list[str]:
    filters: Mapping[str, str] = proposal.values["filters"]
    shown = {name: value for name, value in filters.items() if name not in _HIDDEN}
    return [f"{_WORDS.get(name, name)}: {_short(name, value)}" for name, value in shown.items()]


def _short(name: str, value: str) -> str:
    if name == "ids":
        number = value.count(",") + 1
        said = ngettext("%(number)s chosen delivery", "%(number)s chosen deliveries", number)
        return said % {"number": grouped(number)}
    return f"{value[:16].replace('T', ' ')} UTC" if name in ("since", "until") else value[:200]


def _deliver(proposal: Proposal) -> list[str]:
    values = proposal.values
    line = _("Deliver the event %(event)s to the subscription %(subscription)s.") % {
        "event": values["event"],
        "subscription": values["subscription"],
    }
    return [line, _("It was delivered there before.")] if values["again"] else [line]


def _fix(proposal: Proposal) -> list[str]:
    assert proposal.fix is not None
    lines, keep = lines_of_fix(proposal.fix), proposal.values["keep"]
    if keep is None:
        return lines
    return [
        *lines,
        _("Keep these rules for later failures of the same kind: for %(days)s days, at most %(number)s a day.")
        % {"days": keep["days"], "number": grouped(keep["daily_cap"])},
    ]


def lines_of_fix(fix: BulkFix) -> list[str]:
    """The field and the rules of a bulk fix."""
    try:
        sentences = [step.sentence for step in parse_rules(fix.rules)]
    except RuleError:
        sentences = []
    lines = [_("Field: %(field)s") % {"field": as_spelled(fix.place)}, *(sentences or [_("Values by hand")])][:LINES]
    return [*lines, _("The store's records are updated too.")] if fix.updates_records else lines


_LINES: Final[Mapping[str, Callable[[Proposal], list[str]]]] = {
    Proposal.Action.EDIT.value: _edit,
    Proposal.Action.RETRY.value: _retry,
    Proposal.Action.DISCARD.value: _discard,
    Proposal.Action.DELIVER.value: _deliver,
    Proposal.Action.BACKFILL.value: _filters,
    Proposal.Action.FIX.value: _fix,
}
