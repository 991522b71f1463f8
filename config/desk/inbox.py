"""What waits for the person who is looking at the dashboard: notices to them, edits to approve, cases of theirs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q

from deliveries.access import visible_to
from deliveries.models import FailureGroup
from deliveries.proposals.waiting import waiting_count
from deliveries.stats.queries import shown_count
from notifications.models import PersonalNotice
from notifications.personal import APPROVALS, unread

NOTICES_SHOWN = 8
APPROVALS_COUNTED = 99


@dataclass(frozen=True)
class Inbox:
    """Empty for most people most of the time. `approvals` writes `waiting`: `99+`, or nothing."""

    notices: list[PersonalNotice] = field(default_factory=list)
    notices_more: int = 0
    waiting: int = 0
    approvals: str = ""
    mine: int = 0
    returned: int = 0

    def __bool__(self) -> bool:
        return bool(self.notices or self.approvals or self.mine)

    @classmethod
    def of(cls, user: Any) -> Inbox:
        waiting = waiting_count(user, APPROVALS_COUNTED) if user.has_perm("deliveries.view_delivery") else 0
        numbers = {"mine": 0, "returned": 0}
        if user.has_perm("deliveries.view_failuregroup"):
            cases = visible_to(FailureGroup.objects.cases().open().filter(assignee=user.pk), user)
            numbers = cases.aggregate(mine=Count("pk"), returned=Count("pk", filter=Q(returned_at__isnull=False)))
        # What awaits approval has a line of its own, with the number of now.
        rows = unread(user).exclude(key__startswith=APPROVALS) if waiting else unread(user)
        notices = list(rows[: NOTICES_SHOWN + 1])
        return cls(
            notices=notices[:NOTICES_SHOWN],
            notices_more=len(notices[NOTICES_SHOWN:]),
            waiting=waiting,
            approvals=shown_count(waiting, APPROVALS_COUNTED) if waiting else "",
            **numbers,
        )
