"""Room at integrations that one engine keeps for deliveries which are born claimed (`runtime.handover`).

A push that leases its own deliveries asks nobody, so what it may take is set aside before: as a row that the claims of
all engines count as in flight. Caps hold over all hosts that way, at the price of some room that may stay unused. Only
integrations get one that nothing speaks against: no rate limit, no open breaker, not throttled, no backlog, and no
reservation of another engine of the same host, so that one engine sees all that such an integration answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Q

from deliveries.models import Delivery, Engine, Reservation
from deliveries.storage import backend
from deliveries.storage.rows.claims import LEASE_GRACE
from integrations.models import ConfigVersion, Integration

#: Of one integration, for all web processes of a host: more than that claims serve better.
MAX_ROOM = 256
MIN_ROOM = 2
#: How long a reservation counts; after this much less, nothing is born claimed by it.
LIFETIME = timedelta(seconds=15)
SAFETY = timedelta(seconds=5)
#: How often it is renewed, with another look at the integration, while it is used.
RENEW_EVERY = 2.0
#: One that nobody uses for so many seconds is given up.
UNUSED_AFTER = 30.0


@dataclass(slots=True)
class Reserved:
    """`config_version`: what is known of the integration is of then. `lease_seconds`: for deliveries that it gets."""

    integration_id: int
    room: int
    config_version: int
    lease_seconds: float


def reserve(engine: Engine, *, wanted: Collection[int], held: Mapping[int, int], now: datetime) -> list[Reserved]:
    """Make and renew the reservations of `engine`: those of `wanted` that may have one. Its others end.

    `held`: its present reservations, by integration, with how many deliveries it is sending of those that came by them.
    """
    with transaction.atomic():
        backend().lock_claims()
        found = _reservable(engine, wanted, held, now)
        Reservation.objects.filter(engine=engine).exclude(integration_id__in=[r.integration_id for r in found]).delete()
        Reservation.objects.bulk_create(
            [
                Reservation(engine=engine, integration_id=r.integration_id, room=r.room, until=now + LIFETIME)
                for r in found
            ],
            update_conflicts=True,
            unique_fields=["integration_id", "engine"],
            update_fields=["room", "until"],
        )
    return found


def _reservable(engine: Engine, wanted: Collection[int], held: Mapping[int, int], now: datetime) -> list[Reserved]:
    version = ConfigVersion.current()
    taken = _taken_by_others(engine, wanted, now)
    sending, born = _in_flight(wanted, now)
    rows = (
        Integration.objects.filter(id__in=wanted, is_enabled=True, deleted_at=None, rate_limit=None)
        .filter(Q(health=None) | Q(health__breaker="closed"))
        .filter(Q(health__throttled_until=None) | Q(health__throttled_until__lte=now))
        .values_list("id", "max_in_flight", "timeout")
    )
    found = []
    for integration_id, cap, timeout in rows:
        others = taken.get(integration_id, 0)
        if others is None:
            continue
        born_of_others = born.get(integration_id, 0) - held.get(integration_id, 0)
        free = cap - sending.get(integration_id, 0) + born.get(integration_id, 0) - max(others, born_of_others)
        room = min(MAX_ROOM, free // 2)
        if room >= MIN_ROOM:
            found.append(Reserved(integration_id, room, version, timeout + LEASE_GRACE))
    return found


def _taken_by_others(engine: Engine, wanted: Collection[int], now: datetime) -> dict[int, int | None]:
    """By integration; None where another engine of this host has a reservation."""
    taken: dict[int, int | None] = {}
    rows = Reservation.objects.filter(integration_id__in=wanted, until__gt=now).exclude(engine=engine)
    for integration_id, room, host in rows.values_list("integration_id", "room", "engine__host"):
        before = taken.get(integration_id, 0)
        taken[integration_id] = None if host == engine.host or before is None else before + room
    return taken


def _in_flight(wanted: Collection[int], now: datetime) -> tuple[dict[int, int], dict[int, int]]:
    """By integration: all that is being sent, and what of it was born claimed."""
    rows = Delivery.objects.filter(integration_id__in=wanted, status="sending", due_at__gt=now)
    born = rows.filter(attempt_count=1, first_sent_at=F("created_at"))
    return (
        dict(rows.values_list("integration_id").annotate(Count("id"))),
        dict(born.values_list("integration_id").annotate(Count("id"))),
    )
