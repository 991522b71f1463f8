"""Reads what was counted of attempts: in a period, and since ever."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, ExpressionWrapper, F, QuerySet, Sum

from deliveries.models import AttemptCount, AttemptStats
from deliveries.stats.compaction import EVER
from deliveries.stats.rollups import slot_of


@dataclass(frozen=True, slots=True)
class AttemptTotal:
    """`bucket`: the slot over the width that was asked for. `milliseconds`: of all of them together."""

    bucket: int
    integration_id: int
    kind: int
    bin: int
    number: int
    milliseconds: int


def attempts_since(*, since: datetime, width: int, integrations: Iterable[int] | None) -> list[AttemptTotal]:
    """Of these integrations or of all, added up over `width` slots each."""
    begin = max(slot_of(since), EVER + 1)
    found = []
    for rows in (AttemptStats.objects.filter(slot__gte=begin), AttemptCount.objects.filter(slot__gte=begin)):
        wanted = rows if integrations is None else rows.filter(integration_id__in=list(integrations))
        bucket = ExpressionWrapper(F("slot") / width, output_field=BigIntegerField())
        found += [AttemptTotal(*map(int, row)) for row in _sums(wanted.annotate(bucket=bucket), "bucket")]
    return found


def attempts_ever() -> list[AttemptTotal]:
    """All that was ever counted, by one statement: what is moved from one table to the other counts once."""
    moved = _sums(AttemptStats.objects.filter(slot=EVER).annotate(bucket=F("slot")), "bucket")
    fresh = _sums(AttemptCount.objects.annotate(bucket=F("slot") * 0), "bucket")
    return [AttemptTotal(*map(int, row)) for row in moved.union(fresh, all=True)]


def _sums(rows: QuerySet[Any], bucket: str) -> QuerySet[Any, Any]:
    grouped = rows.values_list(bucket, "integration_id", "kind", "bin")
    summed: QuerySet[Any, Any] = grouped.annotate(Sum("number"), Sum("milliseconds")).order_by()
    return summed
