"""Error budgets: how much of what an objective allows is spent, and how fast.

"99.9 % within 5 minutes, 30 days": of the deliveries that ended in the last 30 days, one in a thousand may have failed
for good or arrived later than 5 minutes after their push. The burn rate is how many times faster than evenly over the
30 days the budget is being spent; at 1 it is just used up at their end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from deliveries.models import Delivery
from deliveries.models.stats import SLOT_SECONDS
from deliveries.stats.durations import bin_until
from deliveries.stats.rollups import ACCEPTED, Count, counts
from integrations.models import Objectives

#: A long window, in which it burns, and a short one, in which it still does; and how fast it must burn to be told.
#: 14.4 spends 2 % of a 30-day budget in an hour, 6 spends 5 % in six (Google, "The Site Reliability Workbook", 5).
FAST: Final = (timedelta(hours=1), timedelta(minutes=5), 14.4)
SLOW: Final = (timedelta(hours=6), timedelta(minutes=30), 6.0)
#: Unfinished deliveries are looked at from the longest due on, up to here.
OVERDUE_LOOKED_AT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Deliveries that ended in a period: `late` arrived after the objective's time, `failed` not at all."""

    total: int = 0
    late: int = 0
    failed: int = 0

    @property
    def bad(self) -> int:
        return self.late + self.failed

    @property
    def bad_share(self) -> float:
        return self.bad / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """The error budget of an objective. `overdue`: not ended, and already later than it allows; spent too."""

    share: float
    whole: Tally
    hour: Tally
    minutes: Tally
    six_hours: Tally
    half_hour: Tally
    overdue: int = 0

    @property
    def total(self) -> int:
        return self.whole.total + self.overdue

    @property
    def allowed(self) -> float:
        """How many deliveries may be late or fail."""
        return self.total * self.share

    @property
    def bad(self) -> int:
        return self.whole.bad + self.overdue

    @property
    def spent(self) -> float:
        """Share of the budget that is spent; more than 1 where it was not enough."""
        return self.bad / self.allowed if self.allowed else 0.0

    @property
    def left(self) -> float:
        return max(0.0, 1 - self.spent)

    @property
    def kept(self) -> float | None:
        """Share of the deliveries that arrived in time; None of nothing."""
        return 1 - self.bad / self.total if self.total else None

    def burn(self, tally: Tally) -> float:
        return tally.bad_share / self.share

    @property
    def burn_rate(self) -> float:
        """Of the last hour."""
        return self.burn(self.hour)

    @property
    def is_burning_fast(self) -> bool:
        return min(self.burn(self.hour), self.burn(self.minutes)) >= FAST[2]

    @property
    def is_burning(self) -> bool:
        return self.is_burning_fast or min(self.burn(self.six_hours), self.burn(self.half_hour)) >= SLOW[2]

    @property
    def is_held(self) -> bool:
        """Whether it holds again. By the long windows only: the short ones go up and down."""
        return not self.is_spent and self.burn(self.hour) < FAST[2] and self.burn(self.six_hours) < SLOW[2]

    @property
    def is_spent(self) -> bool:
        return self.bad > self.allowed


def budgets(rows: Iterable[Objectives], now: datetime) -> dict[int, Budget]:
    """By integration, of those that have an objective. A few statements for all, and two small ones for each."""
    wanted = [row for row in rows if row.budget_share is not None]
    keys = [row.integration_id for row in wanted]
    if not keys:
        return {}
    recent = _by_integration(counts(since=now - SLOW[0], now=now, width=1, integrations=keys))
    whole: dict[int, dict[int, list[Count]]] = {}
    for days in {row.days for row in wanted}:
        since = now - timedelta(days=days)
        whole[days] = _by_integration(counts(since=since, now=now, width=_EVERYTHING, integrations=keys))
    found = {}
    for row in wanted:
        key, limit, share = row.integration_id, bin_until(row.within * 1000), row.budget_share
        assert share is not None
        hour, minutes, six_hours, half_hour = (
            _tally(recent[key], limit, now - period) for period in (*FAST[:2], *SLOW[:2])
        )
        overdue = _overdue(key, now - timedelta(seconds=row.within))
        ended = _tally(whole[row.days][key], limit, None)
        found[key] = Budget(share, ended, hour, minutes, six_hours, half_hour, overdue)
    return found


#: More slots than there are: all are added up in one.
_EVERYTHING: Final = 10**9


def _by_integration(found: Iterable[Count]) -> dict[int, list[Count]]:
    grouped: dict[int, list[Count]] = defaultdict(list)
    for one in found:
        if one.bin != ACCEPTED:
            grouped[one.integration_id].append(one)
    return grouped


def _tally(found: Iterable[Count], limit: int, since: datetime | None) -> Tally:
    """Of what ended since then; a slot counts whole. `limit`: the first bin that is late."""
    wanted = [one for one in found if since is None or (one.slot + 1) * SLOT_SECONDS > since.timestamp()]
    late = sum(one.succeeded for one in wanted if one.bin >= limit)
    failed = sum(one.failed for one in wanted)
    return Tally(sum(one.succeeded for one in wanted) + failed, late, failed)


def _overdue(integration_id: int, before: datetime) -> int:
    """Deliveries pushed before then that have not ended, among those that are due longest."""
    open_ones = Delivery.objects.filter(integration_id=integration_id, due_at__isnull=False).exclude(trigger="test")
    looked_at = open_ones.order_by("due_at").values("pk")[:OVERDUE_LOOKED_AT]
    return Delivery.objects.filter(pk__in=list(looked_at.values_list("pk", flat=True)), created_at__lt=before).count()
