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
    bucket = ExpressionWrapper(F("slot") / width, output_field=BigIntegerField())
    parts = []
    for model in (AttemptStats, AttemptCount):
        rows = model._default_manager.filter(slot__gte=max(slot_of(since), EVER + 1)).annotate(bucket=bucket)
        wanted = rows if integrations is None else rows.filter(integration_id__in=list(integrations))
        parts.append(_sums(wanted, "bucket"))
    # By one statement: what is moved meanwhile counts once.
    return [AttemptTotal(*map(int, row)) for row in parts[0].union(parts[1], all=True)]


def attempts_ever() -> list[AttemptTotal]:
    """All that was ever counted, by one statement: what is moved from one table to the other counts once."""
    moved = _sums(AttemptStats.objects.filter(slot=EVER).annotate(bucket=F("slot")), "bucket")
    fresh = _sums(AttemptCount.objects.annotate(bucket=F("slot") * 0), "bucket")
    return [AttemptTotal(*map(int, row)) for row in moved.union(fresh, all=True)]


def _sums(rows: QuerySet[Any], bucket: str) -> QuerySet[Any, Any]:
    grouped = rows.values_list(bucket, "integration_id", "kind", "bin")
    summed: QuerySet[Any, Any] = grouped.annotate(Sum("number"), Sum("milliseconds")).order_by()
    return summed
