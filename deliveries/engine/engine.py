"""The engine: claim what is due, send it, record what came of it; many at a time, without a pause between."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.utils import timezone

from deliveries.engine.attempts import STOPPED, UNSENT, give_back, mark_interrupted, open_attempts
from deliveries.engine.build import internal, prepare
from deliveries.engine.claim import claim, lock_claims, wait_for_disk
from deliveries.engine.clock import ClockWatch, adjust_to_clock
from deliveries.engine.control import beat, leave, stopping
from deliveries.engine.directory import Directory
from deliveries.engine.ear import Ear
from deliveries.engine.pacing import Pacer, Reach
from deliveries.engine.quarantine import hold_back, is_killer, set_aside
from deliveries.engine.rows import LEASE_GRACE, Claimed, Flight, Landing
from deliveries.engine.sending import landed
from deliveries.engine.settle import record, repeated, settle
from deliveries.engine.tick import tick
from deliveries.engine.turns import Turns, database_file
from deliveries.failpoints import failpoint
from deliveries.lifecycle import leave_out_deleted
from deliveries.models import Engine
from deliveries.ordering import OrderKey
from integrations.transport import Request, Result, current_policy, make_transport
from integrations.wire_formats.base import Outcome

logger = logging.getLogger("hookdesk.engine")

#: Results are gathered for so long while many are in flight, so that one transaction records many.
GATHER_SECONDS = 0.004
HEARTBEAT_SECONDS = 5.0
RESERVE_SECONDS = 0.01
#: On shutdown, requests in flight get so long to end by themselves.
GRACE_SECONDS = 12.0
#: A claim that is older than this is not sent any more: its lease might run out in mid-flight.
LATEST_START = LEASE_GRACE / 2

_Prepared = tuple[Flight, Request | Outcome]


class DeliveryEngine:
    """Runs in one thread of one process, beside one thread that listens for wake-ups."""

    def __init__(self, slot: Engine) -> None:
        self.slot = slot
        capacity = settings.ENGINE_CAPACITY
        self.transport = make_transport(settings.TRANSPORT, current_policy(), capacity)
        self.pacer = Pacer(capacity)
        self.reach = Reach(capacity)
        self.directory = Directory()
        self.clock = ClockWatch()
        self.turns = Turns(database_file())
        self.rng = random.Random()  # noqa: S311 - jitter
        self.flights: dict[object, Flight] = {}
        self.landings: list[Landing] = []
        self.unsent: list[Claimed] = []  # claimed, but something came between
        self.sent_count = 0
        self.claim_at = 0.0  # monotonic: when to claim next
        self.is_draining = False
        self.next_beat = 0.0
        self.ear = Ear(self.transport.wake, pause=self._politeness, is_reserve=slot.slot > 0)

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
            self.turns.close()

    def _is_time_to_leave(self, deadline: float) -> bool:
        return stopping.is_set() or self.is_draining or time.monotonic() >= deadline

    def _turn(self, deadline: float) -> None:
        try:
            self._heartbeat()
            if self.ear.take():
                self.claim_at = 0.0
            if self.landings or (self.room and time.monotonic() >= self.claim_at):
                self.cycle()
        except (OperationalError, InterfaceError) as error:
            self._recover(error)
        except Exception:
            # It must not end the engine: what is claimed would end the next one too, and look like a killer.
            logger.exception("the engine failed at one turn and goes on")
            self._pause()
        self.collect(self._nap(deadline))

    @property
    def room(self) -> int:
        return 0 if self.is_draining or stopping.is_set() else max(0, self.reach.size - len(self.flights))

    def _politeness(self) -> float:
        """How long an idle engine leaves what it was woken for to the first one of its host.

        All hear the same call. Two that go for one delivery at once only get in each other's way.
        """
        return RESERVE_SECONDS if self.slot.slot > 0 and not self.flights else 0.0

    def _nap(self, deadline: float) -> float:
        now = time.monotonic()
        until = min(self.next_beat, deadline)
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
            self.pacer.returned(flight.claimed.integration_id, is_responsive=result.response is not None)
            # The answer is read as the request was built, whatever has been changed since.
            assert flight.destination is not None
            self.landings.append(landed(flight, flight.destination, result.response, result.error, result.duration))

    # --- one transaction: record what landed, claim what is due ------------------------------------------

    def cycle(self) -> None:
        landings, now, begun = self._recordable(), timezone.now(), time.monotonic()
        if landings:
            failpoint("engine.before_record")
            self.reach.adjust(landed=len(landings), flying=len(self.flights))
        if self.unsent:
            give_back(self.unsent, now, UNSENT)
            self.unsent = []
        try:
            with self.turns.take():
                self._follow_clock(now)
                claimed = repeated(lambda keys: self._settle_and_claim(landings, now, keys))
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("a batch of %s outcomes could not be recorded: one by one now", len(landings))
            record(landings, destination_of=self.directory.destination, now=now, rng=self.rng)
            claimed = []
            self.claim_at = time.monotonic() + 1.0  # it may have been the claim: not again at once, without end
        self.landings = self.landings[len(landings) :]
        self.sent_count += len(landings)
        if claimed:
            self._send(claimed, begun)

    def _follow_clock(self, now: datetime) -> None:
        if self.room > 0 and (seconds := self.clock.was_set(now, time.monotonic())):
            with transaction.atomic():
                lock_claims()
                adjust_to_clock(now, seconds)

    def _settle_and_claim(self, landings: Sequence[Landing], now: datetime, keys: frozenset[OrderKey]) -> list[Claimed]:
        if landings:
            settle(landings, destination_of=self.directory.destination, now=now, rng=self.rng, also_lock=keys)
        return self._claim(now)

    def _recordable(self) -> list[Landing]:
        """The landings up to the second one of a delivery, which is for the next transaction.

        After a stand-still this engine may have claimed again what it had in flight: of the two landings, only the
        one whose lease holds counts, and a transaction that recorded both would take one for the other.
        """
        seen = set()
        for number, landing in enumerate(self.landings):
            if landing.flight.claimed.id in seen:
                return self.landings[:number]
            seen.add(landing.flight.claimed.id)
        return self.landings

    def _claim(self, now: datetime) -> list[Claimed]:
        room = self.room
        if room <= 0:
            return []
        found = claim(pacer=self.pacer, room=room, now=now)
        if found.config_version is not None:
            self.directory.expect(found.config_version)
        mark_interrupted([row for row in found.rows if row.was_sending])
        wait = 0.0 if found.is_full else max(0.0, (found.next_chance - now).total_seconds())
        self.claim_at = time.monotonic() + wait
        wanted = {row.subscription_id for row in found.rows if row.subscription_id is not None}
        claimed = leave_out_deleted(found.rows, self.directory.deleted(wanted), now)
        claimed = hold_back(claimed, (flight.claimed for flight in self.flights.values()), now)
        if found.config_version is not None and not claimed:
            wait_for_disk()
        return claimed

    def _send(self, claims: Sequence[Claimed], begun: float) -> None:
        """`begun`: when the claim began, monotonic."""
        now, started = timezone.now(), time.monotonic()
        self.unsent = list(claims)
        failpoint("engine.after_claim")
        flights = [self._prepared(Flight(claimed, None, None, now, started)) for claimed in claims]
        flights = self._opened(flights)
        if time.monotonic() - begun > LATEST_START:
            logger.warning("this process stood still for so long that %s deliveries are given back", len(claims))
            self.claim_at = 0.0
            return
        self.unsent = []
        for flight, prepared in flights:
            outcome = self._submitted(flight, prepared) if isinstance(prepared, Request) else prepared
            if outcome is not None:
                self.landings.append(Landing(flight, None, None, 0.0, outcome))

    def _submitted(self, flight: Flight, request: Request) -> Outcome | None:
        """On its way: None. What a transport cannot even begin with is the fault of this one request."""
        failpoint("engine.send", request.body)
        key = flight.claimed.attempt_id
        try:
            self.transport.submit(key, request)
        except Exception as error:
            logger.exception("the request of %s could not be sent", flight.claimed.id)
            return internal("send this request", error)
        self.flights[key] = flight
        self.pacer.departed(flight.claimed.integration_id)
        return None

    def _opened(self, flights: list[_Prepared]) -> list[_Prepared]:
        """With their attempts written. What cannot even be written down is not sent, and holds up nobody else."""
        try:
            with self.turns.take():
                open_attempts([flight for flight, _ in flights])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if len(flights) > 1:
                return [opened for flight in flights for opened in self._opened([flight])]
            logger.exception("the attempt of %s could not be written", flights[0][0].claimed.id)
            return [(flights[0][0], internal("record this request, which was therefore not sent", error))]
        return flights

    def _prepared(self, flight: Flight) -> _Prepared:
        claimed = flight.claimed
        if is_killer(claimed):
            return flight, set_aside(claimed)
        flight.destination = self.directory.destination(claimed.integration_id)
        flight.message, prepared = prepare(claimed, self.directory, flight.started_at)
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
        self._pause()

    def _pause(self) -> None:
        self.claim_at = time.monotonic() + 1.0
        time.sleep(0.5)

    def _drain(self) -> None:
        """Hand the slot over, let what is in flight end, give back what does not."""
        self.is_draining = True
        with suppress(DatabaseError, InterfaceError):
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
                except Exception:
                    logger.exception("outcomes could not be recorded while stopping; trying again")
                    self._pause()
        for claims, why in (([flight.claimed for flight in self.flights.values()], STOPPED), (self.unsent, UNSENT)):
            with suppress(DatabaseError, InterfaceError):
                give_back(claims, timezone.now(), why)
