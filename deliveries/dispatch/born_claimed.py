"""The engine's side of born-claimed deliveries: reserve capacity, offer it as credits, receive the deliveries."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import InterfaceError, OperationalError

from deliveries.dispatch.pacing import Pacer
from deliveries.dispatch.reservations import (
    LIFETIME,
    MAX_ROOM,
    MIN_ROOM,
    RENEW_EVERY,
    SAFETY,
    UNUSED_AFTER,
    Reserved,
    reserve,
)
from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Engine
from deliveries.runtime.handover import Offer
from deliveries.runtime.handover_server import Handover, HandoverServer, Received
from integrations.transport import Transport

#: Most integrations at which one engine holds reservations.
MAX_RESERVED = 200
#: Minimum seconds between two updates of the reservations.
MIN_UPDATE_INTERVAL = 0.25
#: The engine is busy if it was idle for less than this share of a window of this many seconds. The window is shorter
#: than the time in which a burst uses up all credits, so that the web processes know why there are none.
MIN_IDLE_SHARE, LOAD_WINDOW = 0.15, 0.02


class BornClaimed:
    """Manages one engine's reservations and credits. Times are seconds of the monotonic clock."""

    def __init__(self, engine: Engine, pacer: Pacer, transport: Transport) -> None:
        self._engine = engine
        self._pacer = pacer
        self._server = HandoverServer(engine.slot, transport.watch, transport.unwatch)
        self._reserved: dict[int, Reserved] = {}
        self._last_used_at: dict[int, float] = {}
        self._requested: set[int] = set()
        self._in_flight: dict[uuid.UUID, int] = {}
        self._in_flight_count: Counter[int] = Counter()
        self._changed: set[int] = set()
        self._updated_at = 0.0
        self._transport = transport
        self._measured_at, self._waited = time.monotonic(), transport.waited
        self._is_busy = False

    # --- receiving -----------------------------------------------------------------------------------------

    def receive(self, now: datetime) -> tuple[Received, list[ClaimedDelivery]]:
        """Return the handovers, and the deliveries to release because their reservation no longer exists."""
        received = self._server.receive()
        if not received:
            return received, []
        self._track(received)
        if not received.committed:
            return received, []
        if time.monotonic() > self._updated_at + RENEW_EVERY:
            # The reservations have not been checked against the integrations' state for a while.
            try:
                self._update_reservations(now, time.monotonic())
            except (OperationalError, InterfaceError):
                # We cannot tell whether these may still be sent: release them once the database is available again.
                self.withdraw(list(self._reserved))
        committed = received.committed
        unwanted = [c for handover in committed for c in handover.deliveries if c.integration_id not in self._reserved]
        if unwanted:
            self.finished(unwanted)
            for handover in committed:
                handover.deliveries[:] = [c for c in handover.deliveries if c.integration_id in self._reserved]
                handover.dispatches = None
        return received, unwanted

    def stop(self) -> list[Handover]:
        """Stop listening and return the last committed handovers. The reservations end with the engine's row."""
        received = self._server.stop()
        self._track(received)
        return received.committed

    def _track(self, received: Received) -> None:
        """Count as in flight what is announced, until it has ended or was dropped."""
        now = time.monotonic()
        for handover in received.announced:
            for claimed in handover.deliveries:
                self._in_flight[claimed.attempt_id] = claimed.integration_id
                self._in_flight_count[claimed.integration_id] += 1
                self._last_used_at[claimed.integration_id] = now
                self._changed.add(claimed.integration_id)
        for handover in received.dropped:  # last: some were announced in the same moment
            self.finished(handover.deliveries)

    def finished(self, claims: Iterable[ClaimedDelivery]) -> None:
        """Stop counting these as in flight, whatever their outcome. Ignores deliveries that were not born claimed."""
        for claimed in claims:
            if (key := self._in_flight.pop(claimed.attempt_id, None)) is not None:
                self._in_flight_count[key] -= 1
                if not self._in_flight_count[key]:
                    del self._in_flight_count[key]
                self._changed.add(key)

    # --- reservations --------------------------------------------------------------------------------------

    def request(self, drained: Iterable[int]) -> None:
        """Request reservations for integrations whose queues a claim has drained: new deliveries may be handed over."""
        if self._server.is_connected:
            self._requested.update(key for key in drained if self._pacer.is_proven(key))

    def withdraw(self, integrations: Iterable[int]) -> None:
        """End the reservations of integrations that fail or throttle. A later successful claim may bring them back."""
        gone = [key for key in integrations if self._reserved.pop(key, None) is not None]
        self._requested.difference_update(gone)
        self._server.withdraw(gone)

    @property
    def due(self) -> float:
        """When `update` next has work to do; infinity if it has none."""
        if self._requested - self._reserved.keys() or self._needs_new_offer():
            return self._updated_at + MIN_UPDATE_INTERVAL
        if not self._reserved:
            return float("inf")
        last = max(self._last_used_at[key] for key in self._reserved)
        return self._updated_at + (RENEW_EVERY if last > self._updated_at else UNUSED_AFTER)

    def _needs_new_offer(self) -> bool:
        """Whether a claim drained an integration whose reservation was unused so long that its offer has expired."""
        now = time.monotonic()
        return any(now > self._last_used_at[key] + RENEW_EVERY for key in self._requested & self._reserved.keys())

    def update(self, now: datetime) -> None:
        """Update the reservations if due, then top up the credits. Call outside a transaction."""
        moment = time.monotonic()
        if self._server.take_newcomer():
            # Share the credits anew.
            self._server.withdraw(self._reserved)
            self._changed.update(self._reserved)
        if moment >= self.due:
            self._update_reservations(now, moment)
        if self._changed:
            self._measure_load(moment)
            self._top_up()
        self._server.send_offers()

    def _measure_load(self, moment: float) -> None:
        elapsed = moment - self._measured_at
        if elapsed >= LOAD_WINDOW:
            self._is_busy = self._transport.waited - self._waited < elapsed * MIN_IDLE_SHARE
            self._measured_at, self._waited = moment, self._transport.waited

    def _update_reservations(self, now: datetime, moment: float) -> None:
        self._updated_at = moment
        for key in self._requested:
            self._last_used_at[key] = moment
        used = [key for key in self._reserved if moment - self._last_used_at[key] < UNUSED_AFTER]
        keys = sorted({*used, *self._requested}, key=lambda key: -self._last_used_at[key])[:MAX_RESERVED]
        self._requested.clear()
        wanted = {key: self._server.outstanding(key) + self._in_flight_count[key] for key in keys}
        found = {reserved.integration_id: reserved for reserved in reserve(self._engine, wanted=wanted, now=now)}
        self._server.withdraw(self._reserved.keys() - found.keys())
        # If there is less room than is outstanding, drop the reservation until the excess has been used up.
        shrunk = {key for key, reserved in found.items() if wanted[key] > reserved.room}
        self._server.withdraw(shrunk)
        self._reserved = {key: reserved for key, reserved in found.items() if key not in shrunk}
        for reserved in self._reserved.values():
            self._server.renew(self._offer(reserved))
        self._changed.update(self._reserved)

    def _top_up(self) -> None:
        """Offer as many credits as the reservation and the integration's window allow.

        A busy engine shares the room of one integration among all: pushes wait for credits then, instead of deliveries
        for the engine.
        """
        limit = MAX_ROOM
        if self._is_busy:
            limit = max(MIN_ROOM, MAX_ROOM // max(1, len(self._in_flight_count)))
        for key in self._changed:
            if (reserved := self._reserved.get(key)) is not None:
                room = min(reserved.room, self._pacer.window_of(key), limit) - self._in_flight_count[key]
                if room > 0:
                    self._server.offer(self._offer(reserved), room)
        self._changed.clear()

    def _offer(self, reserved: Reserved) -> Offer:
        until = self._updated_at + (LIFETIME - SAFETY).total_seconds()
        return Offer(reserved.integration_id, 0, reserved.config_version, reserved.lease_seconds, until, self._is_busy)
