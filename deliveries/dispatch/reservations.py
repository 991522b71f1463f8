"""Reservations: capacity of integrations that an engine sets aside for deliveries that are born claimed.

A push that leases its own deliveries (`runtime.handover`) does not take the claim lock, so the capacity that it may use
is reserved beforehand, as a row that the claims of all engines count as in flight. Caps therefore hold across all
hosts, at the price of some capacity that may stay unused. An integration is reserved only if it has no rate limit, no
open breaker, no throttling, no backlog and no reservation of another engine on the same host, so that one engine sees
all of its responses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from deliveries.models import Engine
from deliveries.storage import backend
from deliveries.storage.rows.claims import LEASE_GRACE

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
        found = [reserved for reserved in _reservable(engine, wanted, now) if reserved.room >= MIN_ROOM]
        rooms = {reserved.integration_id: reserved.room for reserved in found}
        backend().replace_reservations(engine.id, rooms, now + LIFETIME)
    return found


def _reservable(engine: Engine, wanted: Mapping[int, int], now: datetime) -> Iterator[Reserved]:
    for row in backend().reservable(engine.id, engine.host, wanted.keys(), now):
        if row.is_reserved_here:
            continue
        own = wanted[row.integration_id]
        claimed = row.in_flight - row.born_in_flight
        free = row.max_in_flight - claimed - max(row.reserved_elsewhere, row.born_in_flight - own)
        # What web processes may already use is not taken back as long as it fits: without it, their pushes would become
        # a backlog for claims, just when there is much to do.
        half = min(MAX_ROOM, free // 2)
        room = own if half < own <= free else half
        yield Reserved(row.integration_id, room, row.config_version, row.timeout + LEASE_GRACE)
