"""The engine's half of `runtime.handover`: offers credits and receives deliveries. Runs in the engine's thread."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from deliveries.runtime import handover
from deliveries.runtime.handover import Messages, Offer
from deliveries.storage.rows.claims import ClaimedDelivery

logger = logging.getLogger("hookdesk.engine")

_READ_BYTES = 256 * 1024
#: Seconds that a stopping engine waits for deliveries that web processes are committing for it.
STOP_WAIT = 1.0


@dataclass(slots=True, eq=False)
class Handover:
    """The deliveries of one push with our lease.

    `config_version`: their store's, when they were planned. `since`: when announced (monotonic). `dispatches`: what the
    engine has built of them, in the same order; None: nothing yet.
    """

    deliveries: list[ClaimedDelivery]
    config_version: int
    since: float
    dispatches: list[Any] | None = None


class Received(NamedTuple):
    """`announced`: still being written. `committed`: to be sent now. `dropped`: announced earlier, but not stored."""

    announced: list[Handover]
    committed: list[Handover]
    dropped: list[Handover]

    def __bool__(self) -> bool:
        return bool(self.announced or self.committed or self.dropped)


@dataclass(slots=True, eq=False)
class _WebProcess:
    """The connection to one web process. `credits`: by integration, how many deliveries it may still lease for us.
    `offers`: not sent yet. `announced`: by lease, what it is writing.
    """

    connection: socket.socket
    messages: Messages = field(default_factory=Messages)
    credits: dict[int, int] = field(default_factory=dict)
    offers: list[Offer] = field(default_factory=list)
    announced: dict[str, Handover] = field(default_factory=dict)
    unsent: bytearray = field(default_factory=bytearray)


class HandoverServer:
    """Listens for web processes. `watch(descriptor)` makes a descriptor wake the engine, `unwatch` stops that."""

    def __init__(self, slot: int, watch: Callable[[int], None], unwatch: Callable[[int], None]) -> None:
        self._watch, self._unwatch = watch, unwatch
        self._web_processes: dict[int, _WebProcess] = {}
        self._has_newcomer = False
        self._received = Received([], [], [])
        self._listener = _listen(slot) if handover.is_possible() else None
        if self._listener is not None:
            watch(self._listener.fileno())

    @property
    def is_connected(self) -> bool:
        return bool(self._web_processes)

    def outstanding(self, integration_id: int) -> int:
        """Return how many deliveries web processes may still send for this integration."""
        return sum(web.credits.get(integration_id, 0) for web in self._web_processes.values())

    def receive(self) -> Received:
        """Return what was announced, committed and dropped since the last call. Never waits."""
        if self._listener is not None:
            self._accept()
        for web in list(self._web_processes.values()):
            self._read(web)
        received, self._received = self._received, Received([], [], [])
        return received

    def take_newcomer(self) -> bool:
        """Return whether a web process has connected since the last call."""
        has_newcomer, self._has_newcomer = self._has_newcomer, False
        return has_newcomer

    def offer(self, offer: Offer, room: int) -> None:
        """Offer `room` deliveries, shared among the web processes, with the next `send_offers`.

        Tops up credits of which half is used.
        """
        share = max(1, room // max(1, len(self._web_processes)))
        spare = room - self.outstanding(offer.integration_id)
        for web in list(self._web_processes.values()):
            left = web.credits.get(offer.integration_id, 0)
            if left <= share // 2 and (more := min(share - left, spare)) > 0:
                spare -= more
                web.credits[offer.integration_id] = left + more
                web.offers.append(offer._replace(credits=more))

    def renew(self, offer: Offer) -> None:
        """Extend the offer without new credits, with the next `send_offers`."""
        for web in list(self._web_processes.values()):
            if offer.integration_id in web.credits:
                web.offers.append(offer._replace(credits=0))

    def send_offers(self) -> None:
        """Send the offers made since the last call, as one message to each web process."""
        for web in list(self._web_processes.values()):
            if web.offers:
                offers, web.offers = web.offers, []
                self._send(web, {"offers": offers})

    def withdraw(self, integrations: Iterable[int]) -> None:
        """Withdraw the offers for these integrations. Deliveries already on the way still arrive."""
        closed = list(integrations)
        if closed:
            self.send_offers()  # in this order
        for web in list(self._web_processes.values()):
            mine = [key for key in closed if web.credits.pop(key, None) is not None]
            if mine:
                self._send(web, {"close": mine})

    def stop(self) -> Received:
        """Withdraw all offers, wait briefly, and return the last of what web processes have sent."""
        if self._listener is None:
            return Received([], [], [])
        self._unwatch(self._listener.fileno())
        self._listener.close()
        for web in list(self._web_processes.values()):
            self._send(web, {"close": None})
        self._listener = None
        until = time.monotonic() + STOP_WAIT
        while self._web_processes and time.monotonic() < until:
            for web in list(self._web_processes.values()):
                self._read(web)
            time.sleep(0.005)
        for web in list(self._web_processes.values()):
            self._drop(web)
        return self.receive()

    # --- connections ---------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not handover.is_ours(connection):
                logger.warning("refused a process of another user that tried to hand over deliveries")
                connection.close()
                continue
            connection.setblocking(False)
            self._web_processes[connection.fileno()] = _WebProcess(connection)
            self._watch(connection.fileno())
            self._has_newcomer = True

    def _read(self, web: _WebProcess) -> None:
        self._flush(web)
        while web.connection.fileno() in self._web_processes:
            try:
                data = web.connection.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._drop(web)
                break
            try:
                for message in web.messages.feed(data):
                    self._take(web, message)
            except Exception:
                # Deliveries that it leased for us and that we cannot read become due again when the lease ends.
                logger.exception("a web process sent an invalid message")
                self._drop(web)
                break
            if len(data) < _READ_BYTES:
                break

    def _take(self, web: _WebProcess, message: dict[str, Any]) -> None:
        for push in message.get("announced", ()):
            lease, handover = _parse_handover(push)
            web.announced[lease] = handover
            self._received.announced.append(handover)
            for delivery in handover.deliveries:
                if (left := web.credits.get(delivery.integration_id)) is not None:
                    web.credits[delivery.integration_id] = max(0, left - 1)
        for lease in message.get("committed", ()):
            self._received.committed.append(web.announced.pop(lease))
        for lease in message.get("dropped", ()):
            handover = web.announced.pop(lease)
            self._received.dropped.append(handover)
            for delivery in handover.deliveries:
                if (left := web.credits.get(delivery.integration_id)) is not None:
                    web.credits[delivery.integration_id] = left + 1

    def _send(self, web: _WebProcess, message: dict[str, Any]) -> None:
        web.unsent += handover.packed(message)
        self._flush(web)

    def _flush(self, web: _WebProcess) -> None:
        if not web.unsent:
            return
        try:
            del web.unsent[: web.connection.send(web.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(web)

    def _drop(self, web: _WebProcess) -> None:
        descriptor = web.connection.fileno()
        if self._web_processes.pop(descriptor, None) is not None:
            self._unwatch(descriptor)
            # If they are committed all the same, they become due again when their leases end.
            self._received.dropped.extend(web.announced.values())
        with suppress(OSError):
            web.connection.close()


def _listen(slot: int) -> socket.socket | None:
    """Listen; None if another process has the address: an engine that is still exiting, or a foreign process."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(handover.address(slot))
        listener.listen(64)
        listener.setblocking(False)
    except OSError as error:
        logger.warning("deliveries cannot be handed over to engine %s directly: %s", slot, error)
        listener.close()
        return None
    return listener


def _parse_handover(push: list[Any]) -> tuple[str, Handover]:
    config_version, since, store, origin, now, lease, events = push
    store_id, lease_id = UUID(store), UUID(lease)
    first_sent_at = datetime.fromtimestamp(now, UTC)
    deliveries = [
        ClaimedDelivery(
            id=UUID(key),
            store_id=store_id,
            integration_id=integration_id,
            subscription_id=UUID(subscription),
            attempt_number=1,
            retry_count=0,
            crash_count=0,
            revision=0,
            order_key=None,
            failure_group_id=None,
            first_sent_at=first_sent_at,
            event_topic=topic,
            event_intent=intent,
            object_type=object_type,
            object_id=object_id,
            data_json=data,
            origin=origin,
            occurred_at=datetime.fromtimestamp(occurred_at, UTC),
            trigger="scheduled",
            lease=lease_id,
            traceparent=traced[0] if traced else None,
        )
        for _, topic, intent, object_type, object_id, data, occurred_at, rows, *traced in events
        for key, integration_id, subscription in rows
    ]
    return lease, Handover(deliveries, config_version, since)
