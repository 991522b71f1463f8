"""The engine: claims due deliveries, sends them and records the results, in batches and pipelined."""

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

from deliveries.dispatch.born_claimed import BornClaimed
from deliveries.dispatch.claim import claim, next_due
from deliveries.dispatch.pacing import AdaptiveConcurrency
from deliveries.dispatch.poison import hold_back
from deliveries.dispatch.sending import Prepared, Sender
from deliveries.dispatch.types import LEASE_GRACE, AttemptResult, ClaimedDelivery, Transition
from deliveries.maintenance.cascade import without_deleted
from deliveries.maintenance.periodic import run_in_turn
from deliveries.models import Engine
from deliveries.results.attempts import abandon_in_flight, release_unsent, write_interrupted
from deliveries.results.record import record, record_alone, record_results, retry_missing_keys
from deliveries.results.reports import report
from deliveries.runtime.clock_jump import ClockJumpDetector, rebase_leases
from deliveries.runtime.failpoints import failpoint
from deliveries.runtime.handover_server import Handover
from deliveries.runtime.listener import WakeupListener
from deliveries.runtime.registry import deregister, heartbeat, stopping
from deliveries.storage import backend
from deliveries.storage.rows.pushes import OrderKey
from deliveries.storage.write_lock import WriteLock
from integrations.foundation import tracing
from integrations.transport import Request, current_policy, make_transport

logger = logging.getLogger("hookdesk.engine")

HEARTBEAT_SECONDS = 5.0
STANDBY_DELAY = 0.01
#: How long requests in flight may take to finish on shutdown.
GRACE_SECONDS = 12.0
#: Do not send claims older than this: their leases might expire while sending.
MAX_START_DELAY = LEASE_GRACE / 2

#: What one transaction recorded and claimed.
_Cycle = tuple[list[Transition], list[ClaimedDelivery]]


class DeliveryEngine(Sender):
    """Runs in one thread of one process, next to a thread that listens for wake-ups."""

    def __init__(self, slot: Engine) -> None:
        self.slot = slot
        capacity = settings.ENGINE_CAPACITY
        super().__init__(make_transport(settings.TRANSPORT, current_policy(), capacity), capacity)
        self.concurrency = AdaptiveConcurrency(capacity)
        self.clock = ClockJumpDetector()
        self.write_lock = WriteLock(backend().database_file())
        self.rng = random.Random()  # noqa: S311 - jitter
        self.unsent: list[ClaimedDelivery] = []  # claimed, but interrupted before sending
        self.handovers: list[Handover] = []  # committed, and not sent yet
        self.sent_count = 0
        self.claim_at = 0.0  # when to claim next (monotonic)
        self.born_claimed = BornClaimed(slot, self.pacer, self.transport)
        self.has_more = False  # more is due than could be claimed: each result frees capacity
        self.is_draining = False
        self.next_heartbeat = 0.0
        self.listener = WakeupListener(self.transport.wake, pause=self._standby_delay, is_standby=slot.slot > 0)

    # --- the loop -----------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Run until `seconds` have passed, the process is told to stop, or another process takes the slot."""
        deadline = time.monotonic() + seconds
        self.listener.start()
        try:
            while not self._should_stop(deadline):
                self._run_once(deadline)
            self._drain()
        finally:
            self.listener.stop()
            self.transport.close()
            self.write_lock.close()

    def _should_stop(self, deadline: float) -> bool:
        return stopping.is_set() or self.is_draining or time.monotonic() >= deadline

    def _run_once(self, deadline: float) -> None:
        try:
            self._heartbeat()
            if self.listener.consume():
                self.claim_at = 0.0
            self._receive_handovers()
            if self.results or (self.room and time.monotonic() >= self.claim_at):
                self.cycle()
            self.born_claimed.update(timezone.now())
        except (OperationalError, InterfaceError) as error:
            self._recover(error)
        except Exception:
            # Keep running: the same claims would crash the next engine too, and then look like poison messages.
            logger.exception("engine loop failed once; continuing")
            self._pause()
        self.collect(self._wait_time(deadline))

    @property
    def room(self) -> int:
        """How many more requests may be in flight; 0 while stopping."""
        return 0 if self.is_draining or stopping.is_set() else max(0, self.concurrency.size - len(self.dispatches))

    def _standby_delay(self) -> float:
        """Seconds by which an idle standby engine delays a wake-up, so that the host's first engine claims first.

        All engines receive the same notification, and two engines claiming the same delivery would only contend.
        """
        return STANDBY_DELAY if self._is_idle_standby else 0.0

    @property
    def _is_idle_standby(self) -> bool:
        """Whether the host's first engine has probably already claimed what a wake-up announces."""
        return self.slot.slot > 0 and not self.dispatches

    def _wait_time(self, deadline: float) -> float:
        now = time.monotonic()
        until = min(self.next_heartbeat, deadline, self.born_claimed.due)
        # Without free capacity there is nothing to claim until a result arrives, and a result ends the wait.
        return max(0.0, (min(until, self.claim_at) if self.room else until) - now)

    # --- record results and claim what is due, in one transaction at most -----------------------------

    def cycle(self) -> None:
        """Record results and claim due deliveries, in one transaction at most, then send what was claimed."""
        results, now, claim_started = self.results_to_record(), timezone.now(), time.monotonic()
        if results:
            failpoint("engine.before_record")
            self.concurrency.adjust(completed=len(results), in_flight=len(self.dispatches))
        if self.unsent:
            release_unsent(self.unsent, now)
            self.born_claimed.finished(self.unsent)
            self.unsent = []
        try:
            with self.write_lock.acquire():
                self._rebase_after_clock_jump(now)
                recorded = self._record_without_claim(results, now)
                claimed: list[ClaimedDelivery] = []
                if recorded is None:
                    recorded, claimed = self._record_and_claim(results, now)
            report(recorded, self.config.destination, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("could not record a batch of %s results; recording them one by one", len(results))
            record(results, destination_of=self.config.destination, now=now, rng=self.rng)
            claimed = []
            # The claim may have been the cause: do not retry it immediately in a loop.
            self.claim_at = time.monotonic() + 1.0
        self.results = self.results[len(results) :]
        self.sent_count += len(results)
        self.born_claimed.finished(result.claimed for result in results)
        self.born_claimed.withdraw({result.claimed.integration_id for result in results if result.is_receiver_failure})
        if claimed:
            self._send(claimed, claim_started)

    def _rebase_after_clock_jump(self, now: datetime) -> None:
        if self.room > 0 and (seconds := self.clock.seconds_jumped(now, time.monotonic())):
            with transaction.atomic():
                backend().lock_claims()
                rebase_leases(now, seconds)

    def _record_without_claim(self, results: Sequence[AttemptResult], now: datetime) -> list[Transition] | None:
        """Record without a transaction if there is nothing to claim. None: a transaction is needed."""
        if not results or (self.room and (self.has_more or time.monotonic() >= self.claim_at)):
            return None
        return record_alone(results, destination_of=self.config.destination, now=now, rng=self.rng)

    def _record_and_claim(self, results: Sequence[AttemptResult], now: datetime) -> _Cycle:
        if not results and self._is_idle_standby and (moment := next_due(now)) is not None:
            self.claim_at, self.has_more = time.monotonic() + (moment - now).total_seconds(), False
            return [], []
        return retry_missing_keys(lambda keys: self._record_and_claim_in_transaction(results, now, keys))

    def _record_and_claim_in_transaction(
        self, results: Sequence[AttemptResult], now: datetime, keys: frozenset[OrderKey]
    ) -> _Cycle:
        recorded: list[Transition] = []
        if results:
            recorded = record_results(
                results, destination_of=self.config.destination, now=now, rng=self.rng, also_lock=keys
            )
        return recorded, self._claim(now)

    def _claim(self, now: datetime) -> list[ClaimedDelivery]:
        room = self.room
        if room <= 0:
            return []
        found = claim(pacer=self.pacer, room=room, now=now)
        if found.config_version is not None:
            self.config.expect(found.config_version)
        write_interrupted(found.rows)
        self.has_more = found.has_more
        self.born_claimed.request(found.drained)
        wait = 0.0 if found.is_full else max(0.0, (found.next_eligible_at - now).total_seconds())
        self.claim_at = time.monotonic() + wait
        wanted = {row.subscription_id for row in found.rows if row.subscription_id is not None}
        claimed = without_deleted(found.rows, self.config.deleted(wanted), now)
        return hold_back(claimed, (dispatch.claimed for dispatch in self.dispatches.values()), now)

    def _receive_handovers(self) -> None:
        received, unwanted = self.born_claimed.receive(timezone.now())
        if unwanted:
            self.unsent += unwanted
            self.claim_at = 0.0
        self._send_handovers(received.committed)
        for handover in received.announced:
            if handover.dispatches is None and not tracing.is_on():  # a span begins when its attempt does
                self.config.expect_at_least(handover.config_version)
                handover.dispatches = self.prepare_all(handover.deliveries)

    def _send_handovers(self, handovers: Sequence[Handover]) -> None:
        """Send deliveries that were born with this engine's lease. What an error leaves is sent the next time."""
        self.handovers += handovers
        while self.handovers:
            self.config.expect_at_least(self.handovers[0].config_version)
            handover = self.handovers.pop(0)
            self._send(handover.deliveries, handover.since, handover.dispatches)
            handover.dispatches = []  # it may have been announced in the same moment

    def _send(self, claims: Sequence[ClaimedDelivery], claimed_at: float, built: list[Prepared] | None = None) -> None:
        """Submit the requests, and build them unless they are. `claimed_at`: when the claim began (monotonic).

        The claim is committed, so whatever happens from here on, the leases say what was being sent.
        """
        before = self.unsent
        self.unsent = [*before, *claims]
        failpoint("engine.after_claim")
        dispatches = self.prepare_all(claims) if built is None else built
        if time.monotonic() - claimed_at > MAX_START_DELAY:
            logger.warning("process was suspended past its leases; releasing %s claimed deliveries", len(claims))
            self.claim_at = 0.0
            return
        self.unsent = before
        for dispatch, prepared in dispatches:
            outcome = self.submit(dispatch, prepared) if isinstance(prepared, Request) else prepared
            if outcome is not None:
                dispatch.end_span(None, outcome)
                self.results.append(AttemptResult.unsent(dispatch, outcome))

    # --- heartbeat, errors, shutdown -------------------------------------------------------------------

    def _heartbeat(self) -> None:
        if time.monotonic() < self.next_heartbeat:
            return
        self.next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        if not heartbeat(self.slot, now=timezone.now(), in_flight=len(self.dispatches), sent_count=self.sent_count):
            logger.warning("another process has taken slot %s: stopping this engine", self.slot)
            self.is_draining = True
        run_in_turn(timezone.now())

    def _recover(self, error: Exception) -> None:
        """Reset the connection after a database error and pause; results are kept and recorded later."""
        logger.warning("cannot reach the database, retrying: %s", error)
        with suppress(Exception):
            connection.close()
        close_old_connections()
        self._pause()

    def _pause(self) -> None:
        self.claim_at = time.monotonic() + 1.0
        time.sleep(0.5)

    def _drain(self) -> None:
        """Free the slot, let requests in flight finish, and release the rest."""
        self.is_draining = True
        try:
            self._send_handovers(self.born_claimed.stop())
        except Exception:  # they are released below, or become due when their leases end
            logger.exception("could not send the last deliveries handed over to this engine")
        with suppress(DatabaseError, InterfaceError):
            deregister(self.slot)
        until = time.monotonic() + (GRACE_SECONDS if stopping.is_set() else 200.0)
        while (self.dispatches or self.results) and (left := until - time.monotonic()) > 0:
            if stopping.is_set():
                until = min(until, time.monotonic() + GRACE_SECONDS)
            self.collect(min(left, 0.5))
            if self.results:
                try:
                    self.cycle()
                except (OperationalError, InterfaceError) as error:
                    self._recover(error)
                except Exception:
                    logger.exception("could not record results while stopping; retrying")
                    self._pause()
        with suppress(DatabaseError, InterfaceError):
            abandon_in_flight(list(self.dispatches.values()), timezone.now())
        with suppress(DatabaseError, InterfaceError):
            handed_over = [claimed for handover in self.handovers for claimed in handover.deliveries]
            release_unsent([*self.unsent, *handed_over], timezone.now())
