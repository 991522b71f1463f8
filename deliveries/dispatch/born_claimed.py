"""An engine's share in deliveries that are born claimed: offering room, taking them in, keeping within the room."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import InterfaceError, OperationalError

from deliveries.dispatch.pacing import Pacer
from deliveries.dispatch.reservations import LIFETIME, RENEW_EVERY, SAFETY, UNUSED_AFTER, Reserved, reserve
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Engine
from deliveries.runtime.handover import Offer
from deliveries.runtime.handover_server import Handed, HandoverServer
from integrations.transport import Transport

#: Integrations that one engine has reservations at.
MOST_RESERVED = 200
#: The least time between two changes of the reservations.
PAUSE = 0.25
#: The engine is busy if it has waited for less than this share of its time, over so many seconds.
SPARE_SHARE, MEASURED_OVER = 0.15, 0.05


class BornClaimed:
    """All times are seconds of the monotonic clock."""

    def __init__(self, engine: Engine, pacer: Pacer, transport: Transport) -> None:
        self._engine = engine
        self._pacer = pacer
        self._server = HandoverServer(engine.slot, transport.watch, transport.unwatch)
        self._reserved: dict[int, Reserved] = {}
        self._used_at: dict[int, float] = {}
        self._wanted: set[int] = set()
        self._in_flight: dict[uuid.UUID, int] = {}
        self._count: Counter[int] = Counter()
        self._touched: set[int] = set()
        self._changed_at = 0.0
        self._transport = transport
        self._measured_at, self._waited = time.monotonic(), transport.waited
        self._is_busy = False

    # --- taking in -----------------------------------------------------------------------------------------

    def receive(self, now: datetime) -> tuple[list[Handed], list[ClaimedDelivery]]:
        """What is to be sent, and what is to be given back: something speaks against its integration by now."""
        found = self._server.receive()
        if not found:
            return [], []
        self._note(found)
        if time.monotonic() > self._changed_at + RENEW_EVERY:
            # Nobody has looked at the integrations for a while.
            try:
                self._change(now, time.monotonic())
            except (OperationalError, InterfaceError):
                # It cannot be known whether these may be sent. They are given back when the database is there again.
                self.withdraw(list(self._reserved))
        unwanted = [c for handed in found for c in handed.deliveries if c.integration_id not in self._reserved]
        if unwanted:
            self.ended(unwanted)
            for handed in found:
                handed.deliveries[:] = [c for c in handed.deliveries if c.integration_id in self._reserved]
        return found, unwanted

    def stop(self) -> list[Handed]:
        """The last ones. The reservations end with the engine's row."""
        found = self._server.stop()
        self._note(found)
        return found

    def _note(self, found: Sequence[Handed]) -> None:
        now = time.monotonic()
        for handed in found:
            for claimed in handed.deliveries:
                self._in_flight[claimed.attempt_id] = claimed.integration_id
                self._count[claimed.integration_id] += 1
                self._used_at[claimed.integration_id] = now
                self._touched.add(claimed.integration_id)

    def ended(self, claims: Iterable[ClaimedDelivery]) -> None:
        """Whatever became of them. Those that were claimed otherwise do not matter here."""
        for claimed in claims:
            if (key := self._in_flight.pop(claimed.attempt_id, None)) is not None:
                self._count[key] -= 1
                self._touched.add(key)

    # --- reservations --------------------------------------------------------------------------------------

    def want(self, drained: Iterable[int]) -> None:
        """Claims have emptied the queues of these: what comes next may be handed over."""
        if self._server.is_connected:
            self._wanted.update(key for key in drained if self._pacer.is_proven(key))

    def withdraw(self, integrations: Iterable[int]) -> None:
        """Something speaks against them. Their next claim, when it succeeds, may bring them back."""
        gone = [key for key in integrations if self._reserved.pop(key, None) is not None]
        self._wanted.difference_update(gone)
        self._server.withdraw(gone)

    @property
    def due(self) -> float:
        """When `update` has something to do; far away if it has nothing."""
        if self._wanted - self._reserved.keys() or self._lapsed():
            return self._changed_at + PAUSE
        if not self._reserved:
            return float("inf")
        last = max(self._used_at[key] for key in self._reserved)
        return self._changed_at + (RENEW_EVERY if last > self._changed_at else UNUSED_AFTER)

    def _lapsed(self) -> bool:
        """A claim wants what is reserved: its offer has ended, as nobody has used it."""
        now = time.monotonic()
        return any(now > self._used_at[key] + RENEW_EVERY for key in self._wanted & self._reserved.keys())

    def update(self, now: datetime) -> None:
        """Renew and change the reservations if it is time to. Outside of a transaction."""
        moment = time.monotonic()
        if moment >= self.due:
            self._change(now, moment)
        if self._touched:
            self._measure(moment)
            self._fill_up()

    def _measure(self, moment: float) -> None:
        elapsed = moment - self._measured_at
        if elapsed >= MEASURED_OVER:
            self._is_busy = self._transport.waited - self._waited < elapsed * SPARE_SHARE
            self._measured_at, self._waited = moment, self._transport.waited

    def _change(self, now: datetime, moment: float) -> None:
        self._changed_at = moment
        for key in self._wanted:
            self._used_at[key] = moment
        used = [key for key in self._reserved if moment - self._used_at[key] < UNUSED_AFTER]
        wanted = sorted({*used, *self._wanted}, key=lambda key: -self._used_at[key])[:MOST_RESERVED]
        self._wanted.clear()
        found = {
            reserved.integration_id: reserved
            for reserved in reserve(self._engine, wanted=wanted, held=self._count, now=now)
        }
        self._server.withdraw(self._reserved.keys() - found.keys())
        # One that got smaller is given up until nothing of the larger one is left.
        shrunk = {
            key for key, reserved in found.items() if self._server.outstanding(key) + self._count[key] > reserved.room
        }
        self._server.withdraw(shrunk)
        self._reserved = {key: reserved for key, reserved in found.items() if key not in shrunk}
        for reserved in self._reserved.values():
            self._server.renew(self._offer(reserved))
        self._touched.update(self._reserved)

    def _fill_up(self) -> None:
        """Offer as much as the reservation and the integration's window allow."""
        for key in self._touched:
            if (reserved := self._reserved.get(key)) is not None:
                room = min(reserved.room, self._pacer.window_of(key)) - self._count[key]
                if room > 0:
                    self._server.offer(self._offer(reserved), room)
        self._touched.clear()

    def _offer(self, reserved: Reserved) -> Offer:
        until = self._changed_at + (LIFETIME - SAFETY).total_seconds()
        return Offer(reserved.integration_id, 0, reserved.config_version, reserved.lease_seconds, until, self._is_busy)
