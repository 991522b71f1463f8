"""Reservations: capacity of integrations that an engine sets aside for deliveries that are born claimed.

A push that leases its own deliveries (`runtime.handover`) does not take the claim lock, so the capacity that it may use
is reserved beforehand, as a row that the claims of all engines count as in flight. Caps therefore hold across all
hosts, at the price of some capacity that may stay unused. An integration is reserved only if it has no rate limit, no
open breaker, no throttling, no backlog and no reservation of another engine on the same host, so that one engine sees
all of its responses.
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

#: Limits of one reservation, which all web processes of a host share. Beyond the maximum, claims are more efficient.
MAX_ROOM = 256
MIN_ROOM = 2
#: How long a reservation counts. It is used for `SAFETY` less than that.
LIFETIME = timedelta(seconds=15)
SAFETY = timedelta(seconds=5)
#: How often a reservation in use is renewed, which checks the integration again. Seconds.
RENEW_EVERY = 2.0
#: A reservation that is not used for this many seconds is dropped.
UNUSED_AFTER = 30.0


@dataclass(slots=True)
class Reserved:
    """A granted reservation.

    `config_version`: when the integration was checked. `lease_seconds`: the lease of deliveries that use it.
    """

    integration_id: int
    room: int
    config_version: int
    lease_seconds: float


def reserve(engine: Engine, *, wanted: Mapping[int, int], now: datetime) -> list[Reserved]:
    """Create and renew reservations of `engine` for those of `wanted` that are eligible; delete its others.

    `wanted`: by integration, how many born-claimed deliveries the engine has in flight or web processes may still lease
    for it.
    """
    with transaction.atomic():
        backend().lock_claims()
        found = _reservable(engine, wanted, now)
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


def _reservable(engine: Engine, wanted: Mapping[int, int], now: datetime) -> list[Reserved]:
    version = ConfigVersion.current()
    taken = _taken_by_others(engine, wanted, now)
    in_flight = _in_flight(wanted, now)
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
        claimed, born = in_flight.get(integration_id, (0, 0))
        own = wanted[integration_id]
        free = cap - claimed - max(others, born - own)
        # What web processes may already use is not taken back as long as it fits: without it, their pushes would become
        # a backlog for claims, just when there is much to do.
        half = min(MAX_ROOM, free // 2)
        room = own if half < own <= free else half
        if room >= MIN_ROOM:
            found.append(Reserved(integration_id, room, version, timeout + LEASE_GRACE))
    return found


def _taken_by_others(engine: Engine, wanted: Collection[int], now: datetime) -> dict[int, int | None]:
    """Capacity that other engines have reserved, by integration; None where one of this host has a reservation."""
    taken: dict[int, int | None] = {}
    rows = Reservation.objects.filter(integration_id__in=wanted, until__gt=now).exclude(engine=engine)
    for integration_id, room, host in rows.values_list("integration_id", "room", "engine__host"):
        before = taken.get(integration_id, 0)
        taken[integration_id] = None if host == engine.host or before is None else before + room
    return taken


def _in_flight(wanted: Collection[int], now: datetime) -> dict[int, tuple[int, int]]:
    """Deliveries in flight by integration: those that were claimed, and those that were born claimed."""
    is_born = Q(attempt_count=1, first_sent_at=F("created_at"))
    rows = Delivery.objects.filter(integration_id__in=wanted, status="sending", due_at__gt=now)
    counted = rows.values_list("integration_id").annotate(sending=Count("id"), born=Count("id", filter=is_born))
    return {integration_id: (sending - born, born) for integration_id, sending, born in counted}
