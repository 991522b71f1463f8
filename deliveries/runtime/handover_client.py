"""The web process's half of `runtime.handover`: decides which deliveries are born claimed, and hands them over.

Everything runs in the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings

from deliveries.runtime import handover
from deliveries.runtime.handover import Messages, Offer
from deliveries.storage.rows.pushes import DeliveryRow, PushRows
from integrations.foundation.identifiers import uuid7

logger = logging.getLogger("hookdesk.web")

#: How often to connect to engines that are not connected, in seconds.
RECONNECT_SECONDS = 1.0


@dataclass(slots=True)
class _OpenOffer:
    """An engine's offer with its remaining credits."""

    link: _Link
    offer: Offer
    credits: int


class _Link(asyncio.Protocol):
    """The connection to one engine."""

    def __init__(self, owner: HandoverClient, slot: int) -> None:
        self._owner = owner
        self._messages = Messages()
        self.slot = slot
        self.transport: asyncio.Transport | None = None
        self.is_lost = False
        #: Number of pushes with deliveries for this engine that are not yet committed.
        self.uncommitted = 0
        self._is_closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._owner.on_lost(self)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._messages.feed(data):
                self._owner.on_message(self, message)
        except (ValueError, TypeError, KeyError):
            logger.exception("engine %s sent an invalid message", self.slot)
            assert self.transport is not None
            self.transport.abort()

    def send(self, pushes: Sequence[list[Any]]) -> None:
        assert self.transport is not None
        self.transport.write(handover.packed({"handed": pushes}))

    def pushes_ended(self, pushes: int) -> None:
        """Note that this many uncommitted pushes were handed over or given up."""
        self.uncommitted -= pushes
        self._close_if_done()

    def close_when_done(self) -> None:
        """Close the connection once nothing is uncommitted. A stopping engine waits for that."""
        self._is_closing = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._is_closing and not self.uncommitted and self.transport is not None:
            self.transport.close()


#: The born-claimed deliveries of one push, by the engine that holds their lease.
Born = dict[_Link, list[DeliveryRow]]


class HandoverClient:
    """Call `claim(rows)` before a push is written, then `hand_over` or `cancel` with what it returned.

    `release(rows)` is called for deliveries that were leased and stored but cannot be handed over; `on_offer()` when an
    engine has made an offer.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        release: Callable[[list[DeliveryRow]], None],
        on_offer: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._release = release
        self._on_offer = on_offer
        self._links: dict[int, _Link] = {}
        self._offers: dict[int, _OpenOffer] = {}
        self._connect_at = 0.0

    def claim(self, rows: PushRows) -> Born | None:
        """Lease deliveries for which an engine of this host has offered credits; any engine may claim the others."""
        now = time.monotonic()
        if now >= self._connect_at:
            self._connect(now)
        if not self._offers:
            return None
        born: Born = {}
        lease: uuid.UUID | None = None
        for row in rows.deliveries:
            open_offer = self._offers.get(row.integration_id)
            if open_offer is None or open_offer.credits <= 0 or row.order_key is not None:
                continue
            offer = open_offer.offer
            if now >= offer.until or rows.config_version > offer.config_version:
                continue
            open_offer.credits -= 1
            row.lease = lease = lease or uuid7()
            row.due_at = rows.now + timedelta(seconds=offer.lease_seconds)
            born.setdefault(open_offer.link, []).append(row)
        for link in born:
            link.uncommitted += 1
        return born or None

    def is_engine_busy(self, rows: PushRows) -> bool:
        """Whether an engine that would get deliveries of this push is out of credits because it is overloaded."""
        if not self._offers:
            return False
        now = time.monotonic()
        return any(
            open_offer.credits <= 0
            and open_offer.offer.is_busy
            and now < open_offer.offer.until
            and rows.config_version <= open_offer.offer.config_version
            for row in rows.deliveries
            if (open_offer := self._offers.get(row.integration_id)) is not None
        )

    def cancel(self, rows: PushRows, born: Born) -> None:
        """Take back leases and credits: the push was not stored."""
        for link, leased in born.items():
            for row in leased:
                row.lease, row.due_at = None, rows.now
                if (open_offer := self._offers.get(row.integration_id)) is not None and open_offer.link is link:
                    open_offer.credits += 1
            link.pushes_ended(1)

    def hand_over(self, stored: Sequence[tuple[PushRows, Born]]) -> None:
        """Send the leased deliveries of these committed pushes to their engines."""
        messages: dict[_Link, list[list[Any]]] = {}
        for rows, born in stored:
            for link, leased in born.items():
                if link.is_lost:
                    self._release(leased)
                else:
                    messages.setdefault(link, []).append(_handover_message(rows, leased))
        for link, pushes in messages.items():
            link.send(pushes)
            link.pushes_ended(len(pushes))

    def close(self) -> None:
        for link in list(self._links.values()):
            link.close_when_done()

    # --- callbacks of the links ----------------------------------------------------------------------------

    def on_message(self, link: _Link, message: dict[str, Any]) -> None:
        if (values := message.get("offer")) is not None:
            offer = Offer(*values)
            open_offer = self._offers.get(offer.integration_id)
            left = open_offer.credits if open_offer is not None and open_offer.link is link else 0
            self._offers[offer.integration_id] = _OpenOffer(link, offer, left + offer.credits)
            self._on_offer()
        elif (closed := message["close"]) is not None:
            self._forget(link, closed)
        else:
            self._forget(link, None)
            link.close_when_done()

    def on_lost(self, link: _Link) -> None:
        self._links.pop(link.slot, None)
        self._forget(link, None)

    def _forget(self, link: _Link, integrations: list[int] | None) -> None:
        for key in list(self._offers) if integrations is None else integrations:
            if (open_offer := self._offers.get(key)) is not None and open_offer.link is link:
                del self._offers[key]

    # --- connecting ----------------------------------------------------------------------------------------

    def _connect(self, now: float) -> None:
        self._connect_at = now + RECONNECT_SECONDS
        if not handover.is_possible():
            self._connect_at = float("inf")
            return
        for slot in range(settings.ENGINE_PROCESSES):
            if slot not in self._links and (connected := _connected(slot)) is not None:
                link = self._links[slot] = _Link(self, slot)
                self._loop.create_task(self._loop.create_unix_connection(partial(_identity, link), sock=connected))


def _handover_message(rows: PushRows, leased: list[DeliveryRow]) -> list[Any]:
    by_event: dict[uuid.UUID, list[DeliveryRow]] = {}
    for row in leased:
        by_event.setdefault(row.event_id, []).append(row)
    lease = leased[0].lease
    assert lease is not None
    head = [rows.config_version, time.monotonic(), rows.store_id.hex, rows.origin, rows.now.timestamp(), lease.hex]
    return [*head, _events_of(rows, by_event)]


def _events_of(rows: PushRows, by_event: dict[uuid.UUID, list[DeliveryRow]]) -> list[list[Any]]:
    return [
        [
            event.id.hex,
            event.topic,
            event.intent,
            event.object_type,
            event.object_id,
            event.data_json,
            event.occurred_at.timestamp(),
            [[row.id.hex, row.integration_id, row.subscription_id.hex] for row in by_event[event.id]],
            *([] if event.traceparent is None else [event.traceparent]),
        ]
        for event in rows.events
        if event.id in by_event
    ]


def _connected(slot: int) -> socket.socket | None:
    """Connect to the engine in this slot; None if that is not possible."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        connected.connect(handover.address(slot))
        if handover.is_ours(connected):
            return connected
        logger.warning("the socket of engine %s belongs to another user; not connecting", slot)
    except OSError:
        pass
    with suppress(OSError):
        connected.close()
    return None


def _identity(link: _Link) -> _Link:
    return link
