"""Delete request and response bodies of integrations that do not keep them, once a delivery has succeeded.

This does not happen where results are recorded: earlier attempts have bodies too, and recording must stay fast. It is
part of the sweep, each minute, and walks the deliveries that finished since the last one.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from deliveries.models import Attempt, BodySweep, Delivery
from integrations.models import Integration

#: Deliveries per transaction.
BATCH = 2_000
#: Skip more recent deliveries: `finished_at` is set before the commit, so earlier ones may still appear.
SETTLED_AFTER = timedelta(seconds=20)
#: Stop after this many seconds; the next sweep continues.
SECONDS = 20.0
#: Pause between two transactions, so that others can write on SQLite.
PAUSE = 0.005

Finished = tuple[datetime, uuid.UUID, int, str]


def drop_bodies(now: datetime, *, seconds: float = SECONDS) -> int:
    """Delete the bodies; return from how many attempts. Safe to interrupt, repeat and run concurrently."""
    wanted = sorted(Integration.objects.filter(keeps_bodies=False).values_list("id", flat=True))
    if not wanted:
        BodySweep.objects.filter(id=1).delete()  # so that an integration that stops keeping bodies is fully walked
        return 0
    _begin(wanted)
    until, count = time.monotonic() + seconds, 0
    while True:
        with transaction.atomic():
            sweep = BodySweep.objects.select_for_update().get(id=1)
            rows = _next(sweep, now)
            count += _drop(rows, wanted)
            if rows:
                sweep.until, sweep.last_id = rows[-1][0], rows[-1][1]
                sweep.save(update_fields=["until", "last_id"])
        if len(rows) < BATCH or time.monotonic() > until:
            return count
        time.sleep(PAUSE)


def _begin(wanted: Sequence[int]) -> None:
    with transaction.atomic():
        sweep, _ = BodySweep.objects.select_for_update().get_or_create(id=1, defaults={"integrations": wanted})
        if sweep.integrations != list(wanted):
            if not set(wanted) <= set(sweep.integrations):
                sweep.until = sweep.last_id = None
            sweep.integrations = list(wanted)
            sweep.save()


def _next(sweep: BodySweep, now: datetime) -> list[Finished]:
    rows = Delivery.objects.filter(finished_at__lte=now - SETTLED_AFTER)
    if sweep.until is not None:
        rows = rows.filter(finished_at__gte=sweep.until).filter(
            Q(finished_at__gt=sweep.until) | Q(id__gt=sweep.last_id)
        )
    ordered = rows.order_by("finished_at", "id").values_list("finished_at", "id", "integration_id", "status")
    return list(ordered[:BATCH])  # type: ignore[arg-type]  # finished_at is set where it is compared


def _drop(rows: Sequence[Finished], wanted: Collection[int]) -> int:
    ids = [key for _, key, integration, status in rows if integration in wanted and status == "succeeded"]
    if not ids:
        return 0
    return Attempt.objects.filter(delivery__in=ids, bodies_gone=None).update(
        request_body=b"",
        is_body_encrypted=False,
        response_body=None,
        bodies_gone=Attempt.BodiesGone.NOT_KEPT,
    )
