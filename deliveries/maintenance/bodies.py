"""Integrations that keep no bodies: what was sent and answered is deleted once a delivery has succeeded.

Not where results are written: attempts before the successful one have bodies too, and results stay as fast as they are.
Part of the sweep, each minute; it walks what has finished since the last one.
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

#: Deliveries looked at in one transaction.
BATCH = 2_000
#: Results carry the time at which they are recorded, and are committed a little later.
SETTLED_AFTER = timedelta(seconds=20)
#: The rest is left to the next sweep.
SECONDS = 20.0
#: Pause between two transactions, so that others can write on SQLite.
PAUSE = 0.005

Finished = tuple[datetime, uuid.UUID, int, str]


def drop_bodies(now: datetime, *, seconds: float = SECONDS) -> int:
    """Returns of how many attempts. Safe to interrupt, to repeat and to run concurrently."""
    wanted = sorted(Integration.objects.filter(keeps_bodies=False).values_list("id", flat=True))
    if not wanted:
        BodySweep.objects.filter(id=1).delete()  # so that one that is switched off later begins at the beginning
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
