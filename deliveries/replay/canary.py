"""The canary of a replay: it sends 1, then 10, then the rest ever faster, and stops when too many fail again.

Judged are the results of its last deliveries, so that a receiver that goes down halfway stops it as well. Pure, but
for `results_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from deliveries.models import Delivery, Replay, ReplayItem
from integrations.foundation.written import grouped

#: By default, a resend of more deliveries than this has a canary.
CANARY_ABOVE: Final = 20
#: Percentage that may fail again by default.
STOP_ABOVE: Final = 10

#: How many are sent before the next trial begins: 1, then 10 more.
TRIALS: Final = (1, 11)
#: The latest deliveries of the replay whose results are looked at.
WINDOW: Final = 2_000
#: Per second, once the trials have passed; doubled this often, while the receiver keeps up.
FIRST_RATE: Final = 10
DOUBLED_EVERY: Final = timedelta(seconds=2)
#: Sent but not answered, in seconds at the current rate: beyond this it waits for the receiver.
BACKLOG_SECONDS: Final = 3
LEAST_BACKLOG: Final = 50


@dataclass(frozen=True, slots=True)
class Results:
    """Of the latest deliveries of a replay: `sent` = `settled` + `under_way`; `failed` of the settled failed again."""

    sent: int = 0
    settled: int = 0
    failed: int = 0

    @property
    def under_way(self) -> int:
        return self.sent - self.settled


@dataclass(frozen=True, slots=True)
class FailedAgain:
    """Why it must stop; as a text, in the language that is active."""

    results: Results
    stop_above: int

    def __str__(self) -> str:
        if self.stop_above:
            words = _("%(failed)s of %(settled)s failed again (%(share)s %%; at most %(allowed)s %% may)")
        else:
            words = _("%(failed)s of %(settled)s failed again (%(share)s %%; none may)")
        return words % {
            "failed": grouped(self.results.failed),
            "settled": grouped(self.results.settled),
            "share": round(self.results.failed * 100 / self.results.settled),
            "allowed": self.stop_above,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many more may be sent now (0: wait for results), at which rate per second; `stop` says why it must stop."""

    room: int
    rate: int
    stop: FailedAgain | None = None


def judge(
    results: Results, *, stop_above: int, rate: int | None, rate_since: datetime | None, most: int, now: datetime
) -> Verdict:
    """`rate` is the current one, None before the trials have passed; `most` is the requested one.

    `stop_above` is in percent.
    """
    if results.failed * 100 > stop_above * results.settled:
        return Verdict(0, rate or 1, FailedAgain(results, stop_above))
    for target in TRIALS:
        if results.sent < target:
            return Verdict(target - results.sent, min(most, target))
        if results.sent == target and results.under_way:
            return Verdict(0, min(most, target))
    current = min(most, rate or FIRST_RATE)
    if results.under_way > max(LEAST_BACKLOG, current * BACKLOG_SECONDS) or results.under_way > WINDOW * 0.9:
        return Verdict(0, current)
    is_keeping_up = results.under_way <= max(LEAST_BACKLOG, current)
    if rate is not None and rate_since is not None and now - rate_since >= DOUBLED_EVERY and is_keeping_up:
        current = min(most, current * 2)
    return Verdict(most, current)


def results_of(replay: Replay) -> Results:
    """Of its last `WINDOW` deliveries, since it was started or resumed.

    Held deliveries of ordered subscriptions are left out: they have no result before others of their record.
    """
    items = ReplayItem.objects.filter(replay=replay, is_left_alone=False)
    if replay.judged_after is not None:
        items = items.filter(delivery_id__gt=replay.judged_after)
    latest = list(items.order_by("-delivery_id").values_list("delivery_id", flat=True)[:WINDOW])
    sent = settled = failed = 0
    for status, due_at in Delivery.objects.filter(id__in=latest).values_list("status", "due_at"):
        if status == Delivery.Status.PENDING and due_at is None:
            continue
        sent += 1
        settled += status not in (Delivery.Status.PENDING, Delivery.Status.SENDING)
        failed += status in (Delivery.Status.FAILED, Delivery.Status.RETRYING)
    return Results(sent, settled, failed)
