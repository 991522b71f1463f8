"""One repair for a whole outage: everything of an integration that has not arrived, over all its failure groups.

First one of them is sent for real, as a test of the repair; then the others, as one replay.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from deliveries.failures.diagnosis import diagnose
from deliveries.models import Delivery, FailureGroup, Replay, Revision
from deliveries.replay import runner
from deliveries.resolution import payload_of, retry_delivery
from deliveries.stats.queries import in_failing_index
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import public_id
from integrations.models import Integration, IntegrationHealth

#: What has not arrived: dead letters, and what is still being retried.
STATUSES: Final = "failed,retrying"
#: In place of a group's number: failures that belong to none.
NO_GROUP: Final = "none"
#: Deliveries examined for one that can be a test.
CANDIDATES: Final = 50


@dataclass(frozen=True, slots=True)
class OutageGroup:
    """Failing deliveries with one cause; `group` is None for those in no group.

    `is_cured` is whether a repair of the integration may help: not if the payload itself was refused.
    """

    group: FailureGroup | None
    count: int
    is_cured: bool

    @property
    def key(self) -> str:
        return str(self.group.pk) if self.group is not None else NO_GROUP


@dataclass(frozen=True, slots=True)
class Outage:
    """`left_alone` of all failing deliveries wait for a second approver; no replay sends them."""

    groups: list[OutageGroup]
    left_alone: int

    @property
    def total(self) -> int:
        return sum(each.count for each in self.groups)

    def counted(self, keys: Collection[str]) -> int:
        return sum(each.count for each in self.groups if each.key in keys)


def filters_of(integration: Integration, keys: Collection[str] | None = None) -> dict[str, str]:
    """The filters of a replay of what fails in these groups, or in all."""
    filters = {"integration": public_id("int", integration.uuid), "status": STATUSES}
    return filters if keys is None else filters | {"group": ",".join(sorted(keys))}


def outage_of(integration: Integration) -> Outage:
    """What fails of the integration now: the largest groups first."""
    failing = _failing(integration)
    counts = dict(failing.order_by().values_list("failure_group_id").annotate(number=Count("id")))
    known = FailureGroup.objects.select_related("sample__event")
    groups = known.in_bulk([pk for pk in counts if pk is not None])
    found: dict[int | None, int] = {}
    for pk, number in counts.items():
        key = pk if pk in groups else None
        found[key] = found.get(key, 0) + number
    rows = [OutageGroup(groups.get(pk or 0), number, _is_cured(groups.get(pk or 0))) for pk, number in found.items()]
    waiting = failing.filter(Exists(_awaiting_approval())).count()
    return Outage(sorted(rows, key=lambda each: (not each.is_cured, -each.count, each.key)), waiting)


def _failing(integration: Integration) -> QuerySet[Delivery]:
    return in_failing_index(runner.matching(filters=filters_of(integration), action=Replay.Action.RETRY))


def _awaiting_approval() -> QuerySet[Revision]:
    return Revision.objects.filter(delivery=OuterRef("pk"), is_awaiting_approval=True)


def _is_cured(group: FailureGroup | None) -> bool:
    if group is None:
        return True
    _, _, status = group.kind.partition("http_")
    payload = payload_of(group.sample) if group.sample is not None else None
    guess = diagnose(
        kind=group.kind, status=int(status) if status.isdecimal() else None, message=group.message, payload=payload
    )
    return guess.suggested_choice != "edit"


def candidate_of(integration: Integration, preferred: Any = None) -> Delivery | None:
    """A failing delivery with which to test a repair: `preferred` (an id) if it fails, else the oldest of the largest
    group that the repair may have cured. None if none can be sent now.

    The oldest, since an ordered subscription holds the later ones of a record behind it.
    """
    able = _failing(integration).exclude(Exists(_awaiting_approval())).select_related("event", "integration", "store")
    if preferred is not None and (found := able.filter(pk=preferred).first()) is not None:
        return found
    for each in outage_of(integration).groups:
        rows = able.filter(failure_group=each.group).order_by("id")[:CANDIDATES]
        for delivery in rows:
            if not _is_behind(delivery):
                return delivery
    return None


def _is_behind(delivery: Delivery) -> bool:
    """Whether its ordered subscription would hold it."""
    if delivery.order_key is None:
        return False
    line = Delivery.objects.filter(subscription=delivery.subscription_id, order_key=delivery.order_key)
    return line.filter(status__in=Delivery.HOLDING, pk__lt=delivery.pk).exists()


def try_repair(
    *, integration: Integration, actor: Actor, preferred: Any = None, now: datetime | None = None
) -> Delivery | None:
    """Resend one failing delivery at once, also while the breaker is open; None if there is none to send.

    Raises ResolutionError if it changes at the same moment.
    """
    now = now or timezone.now()
    delivery = candidate_of(integration, preferred)
    if delivery is None:
        return None
    # What opened the breaker was the integration before its repair: the next probe need not wait. By itself, as the
    # health of integrations is locked after all else (`deliveries.storage.locks`).
    unwell = IntegrationHealth.objects.filter(integration=integration)
    unwell.exclude(breaker=IntegrationHealth.Breaker.CLOSED).update(probe_at=now)
    unwell.update(throttled_until=None)
    return retry_delivery(delivery=delivery, actor=actor, reason="test after a repair", now=now)
