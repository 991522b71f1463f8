"""The engine: claim what is due, send it, record what came of it; many at a time, without a pause between."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.utils import timezone

from deliveries.engine.attempts import give_back, mark_interrupted, open_attempts
from deliveries.engine.build import build_message, build_request, payload_refused
from deliveries.engine.claim import claim
from deliveries.engine.control import beat, leave, stopping, take_slot
from deliveries.engine.directory import Directory
from deliveries.engine.pacing import Pacer
from deliveries.engine.rows import Claimed, Flight, Landing
from deliveries.engine.sending import landed
from deliveries.engine.settle import record, settle
from deliveries.engine.tick import tick
from deliveries.models import Engine
from deliveries.wakeup import make_waiter
from integrations.transport import Request, Result, current_policy, make_transport
from integrations.wire_formats.base import Outcome, PayloadError

logger = logging.getLogger("hookdesk.engine")

#: Results are gathered for so long while many are in flight, so that one transaction records many.
GATHER_SECONDS = 0.004
HEARTBEAT_SECONDS = 5.0
#: On shutdown, requests in flight get so long to end by themselves.
GRACE_SECONDS = 12.0
#: A delivery whose worker died so often in a row is taken for the killer.
MOST_CRASHES = 5
#: The longest nap: a lost wake-up costs no more than this.
LONGEST_NAP = 2.0


class DeliveryEngine:
    """Runs in one thread of one process, beside one thread that listens for wake-ups."""

    def __init__(self, slot: Engine) -> None:
        self.slot = slot
        capacity = settings.ENGINE_CAPACITY
        self.transport = make_transport(settings.TRANSPORT, current_policy(), capacity)
        self.capacity = capacity
        self.pacer = Pacer(capacity)
        self.directory = Directory()
        self.rng = random.Random()  # noqa: S311 - jitter
        self.flights: dict[object, Flight] = {}
        self.landings: list[Landing] = []
        self.sent_count = 0
        self.claim_at = 0.0  # monotonic: when to claim next
        self.is_draining = False
        self.next_beat = 0.0
        self.ear = _Ear(self.transport.wake)

    # --- the loop -----------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Until `seconds` have passed, the machine stops, or another process has taken the slot."""
        deadline = time.monotonic() + seconds
        self.ear.start()
        try:
            while not self._is_time_to_leave(deadline):
                self._turn(deadline)
            self._drain()
        finally:
            self.ear.stop()
            self.transport.close()

    def _is_time_to_leave(self, deadline: float) -> bool:
        return stopping.is_set() or self.is_draining or time.monotonic() >= deadline

    def _turn(self, deadline: float) -> None:
        try:
            self._heartbeat()
            woken = self.ear.take()
            if self.landings or (self.room and (woken or time.monotonic() >= self.claim_at)):
                self.cycle()
        except (OperationalError, InterfaceError) as error:
            self._recover(error)
        self.collect(self._nap(deadline))

    @property
    def room(self) -> int:
        return 0 if self.is_draining or stopping.is_set() else self.capacity - len(self.flights)

    def _nap(self, deadline: float) -> float:
        now = time.monotonic()
        until = min(self.next_beat, deadline, now + LONGEST_NAP)
        # Without room there is nothing to claim: only a landing changes that, and it ends the nap.
        return max(0.0, (min(until, self.claim_at) if self.room else until) - now)

    def collect(self, timeout: float) -> None:
        """Wait for results; while many are in flight, a moment longer for more of them."""
        self._land(self.transport.collect(0.0 if self.landings else timeout))
        if not self.landings:
            return
        until = time.monotonic() + GATHER_SECONDS
        while len(self.landings) < len(self.flights) and (left := until - time.monotonic()) > 0:
            results = self.transport.collect(left)
            if not results:
                break
            self._land(results)

    def _land(self, results: Sequence[Result]) -> None:
        for result in results:
            flight = self.flights.pop(result.key)
            integration_id = flight.claimed.integration_id
            self.pacer.returned(integration_id, is_responsive=result.response is not None)
            destination = self.directory.destination(integration_id)
            self.landings.append(landed(flight, destination, result.response, result.error, result.duration))

    # --- one transaction: record what landed, claim what is due ------------------------------------------

    def cycle(self) -> None:
        landings, now = self.landings, timezone.now()
        try:
            with transaction.atomic():
                if landings:
                    settle(landings, destination_of=self.directory.destination, now=now, rng=self.rng)
                claimed = self._claim(now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("a batch of %s outcomes could not be recorded: one by one now", len(landings))
            record(landings, destination_of=self.directory.destination, now=now, rng=self.rng)
            claimed = []
        self.landings = self.landings[len(landings) :]
        self.sent_count += len(landings)
        if claimed:
            self._send(claimed)

    def _claim(self, now: datetime) -> list[Claimed]:
        room = self.room
        if room <= 0:
            return []
        found = claim(pacer=self.pacer, room=room, now=now)
        self.directory.expect(found.config_version)
        mark_interrupted([row for row in found.rows if row.was_sending])
        wait = 0.0 if found.is_full else max(0.0, (found.next_chance - now).total_seconds())
        self.claim_at = time.monotonic() + wait
        return found.rows

    def _send(self, claims: Sequence[Claimed]) -> None:
        now, started = timezone.now(), time.monotonic()
        flights = [self._prepared(Flight(claimed, None, None, now, started)) for claimed in claims]
        open_attempts([flight for flight, _ in flights])
        for flight, prepared in flights:
            if isinstance(prepared, Outcome):
                self.landings.append(Landing(flight, None, None, 0.0, prepared))
            else:
                self.flights[flight.claimed.attempt_id] = flight
                self.pacer.departed(flight.claimed.integration_id)
                self.transport.submit(flight.claimed.attempt_id, prepared)

    def _prepared(self, flight: Flight) -> tuple[Flight, Request | Outcome]:
        claimed = flight.claimed
        if claimed.crash_count > MOST_CRASHES:
            return flight, _poison(claimed)
        destination = self.directory.destination(claimed.integration_id)
        if destination.problem:
            return flight, Outcome(is_success=False, kind="configuration", message=destination.problem)
        wish = self.directory.wish(claimed.integration_id, claimed.subscription_id)
        try:
            flight.message = build_message(claimed, destination, wish, flight.started_at)
        except PayloadError as error:
            return flight, payload_refused(error)
        prepared = build_request(flight.message, destination)
        if isinstance(prepared, Request):
            flight.request = prepared
        return flight, prepared

    # --- heartbeat, trouble, leaving -------------------------------------------------------------------

    def _heartbeat(self) -> None:
        if time.monotonic() < self.next_beat:
            return
        self.next_beat = time.monotonic() + HEARTBEAT_SECONDS
        if not beat(self.slot, now=timezone.now(), in_flight=len(self.flights), sent_count=self.sent_count):
            logger.warning("another process has taken the slot %s: this engine leaves", self.slot)
            self.is_draining = True
        try:
            tick(timezone.now())
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("the engine's housekeeping failed; sending goes on")

    def _recover(self, error: Exception) -> None:
        """The database is away or refused: keep what landed, and try again in a moment."""
        logger.warning("the engine could not reach the database, trying again: %s", error)
        with suppress(Exception):
            connection.close()
        close_old_connections()
        self.claim_at = time.monotonic() + 1.0
        time.sleep(0.5)

    def _drain(self) -> None:
        """Hand the slot over, let what is in flight end, give back what does not."""
        self.is_draining = True
        with suppress(DatabaseError):
            leave(self.slot)
        longest = GRACE_SECONDS if stopping.is_set() else 200.0
        until = time.monotonic() + longest
        while (self.flights or self.landings) and (left := until - time.monotonic()) > 0:
            if stopping.is_set():
                until = min(until, time.monotonic() + GRACE_SECONDS)
            self.collect(min(left, 0.5))
            if self.landings:
                try:
                    self.cycle()
                except (OperationalError, InterfaceError) as error:
                    self._recover(error)
        with suppress(DatabaseError):
            give_back(list(self.flights.values()), timezone.now())


def _poison(claimed: Claimed) -> Outcome:
    message = (
        f"Workers died {claimed.crash_count} times in a row while sending this. It is set aside so that the queue "
        "moves on; look at the payload, then resend it."
    )
    return Outcome(is_success=False, kind="crash", message=message, is_permanent=True)


class _Ear(threading.Thread):
    """Listens for wake-ups and ends the engine's nap."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__(name="engine ear", daemon=True)
        self._wake = wake
        self._heard = threading.Event()
        self._stop_asked = threading.Event()

    def take(self) -> bool:
        heard = self._heard.is_set()
        self._heard.clear()
        return heard

    def stop(self) -> None:
        self._stop_asked.set()

    def run(self) -> None:
        waiter = None
        while not self._stop_asked.is_set():
            try:
                waiter = waiter or make_waiter()
                if waiter.wait(1.0):
                    self._heard.set()
                    self._wake()
            except Exception as error:
                logger.warning("the engine's ear lost the database, listening again: %s", error)
                waiter = None
                connection.close()
                self._stop_asked.wait(1.0)
            if stopping.is_set():
                self._wake()
        if waiter is not None:
            waiter.close()
        connection.close()


def run_engine_here(seconds: float) -> bool:
    """Take a slot and run. False: this host has enough engines."""
    slot = take_slot(timezone.now())
    if slot is None:
        return False
    _pin_to_core(slot.slot)
    DeliveryEngine(slot).run(seconds)
    return True


def _pin_to_core(slot: int) -> None:
    """Handing a thread from core to core costs up to 2.4 ×, so each engine stays on one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1 and len(cores) >= settings.ENGINE_PROCESSES:
        with suppress(OSError):
            os.sched_setaffinity(0, {cores[slot % len(cores)]})
