"""The web process's half of `runtime.handover`: decides which deliveries are born claimed, and hands them over.

Deliveries are leased and accounted for in the event loop. They are announced and concluded in the thread that writes
them, so that the engine need not wait for the loop's turn.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from deliveries.runtime import handover
from deliveries.runtime.handover import Offer
from deliveries.runtime.handover_link import Link
from deliveries.storage.rows.pushes import DeliveryRow, PushRows
from integrations.foundation.identifiers import uuid7

logger = logging.getLogger("hookdesk.web")

#: How often to connect to engines that are not connected, in seconds.
RECONNECT_SECONDS = 1.0


@dataclass(slots=True)
class _OpenOffer:
    """An engine's offer with its remaining credits."""

    link: Link
    offer: Offer
    credits: int


@dataclass(slots=True)
class Born:
    """The born-claimed deliveries of one push, by the engine that holds their lease."""

    lease: uuid.UUID
    deliveries: dict[Link, list[DeliveryRow]] = field(default_factory=dict)
    is_announced: bool = False


class HandoverClient:
    """Call `claim(rows)` before a push is written, then, with what it returned, `announce` and `conclude` in the thread
    that writes, and at last `settle` or `cancel`.

    `release(rows)` is called in that thread for deliveries that were leased and stored but cannot be handed over;
    `on_offer()` when an engine has made an offer.
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
        self._links: dict[int, Link] = {}
        self._offers: dict[int, _OpenOffer] = {}
        self._is_closed = False
        self._connect_timer: asyncio.TimerHandle | None = None
        if handover.is_possible():
            self._connect_in(0.0)

    def claim(self, rows: PushRows) -> Born | None:
        """Lease deliveries for which an engine of this host has offered credits; any engine may claim the others."""
        if not self._offers:
            return None
        now = time.monotonic()
        born: Born | None = None
        for row in rows.deliveries:
            open_offer = self._offers.get(row.integration_id)
            if open_offer is None or open_offer.credits <= 0 or row.order_key is not None:
                continue
            offer = open_offer.offer
            if now >= offer.until or rows.config_version > offer.config_version:
                continue
            open_offer.credits -= 1
            born = born or Born(uuid7())
            row.lease = born.lease
            row.due_at = rows.now + timedelta(seconds=offer.lease_seconds)
            born.deliveries.setdefault(open_offer.link, []).append(row)
        if born is not None:
            for link in born.deliveries:
                link.uncommitted += 1
        return born

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
        for link, leased in born.deliveries.items():
            for row in leased:
                row.lease, row.due_at = None, rows.now
                if (open_offer := self._offers.get(row.integration_id)) is not None and open_offer.link is link:
                    open_offer.credits += 1
            link.push_ended()

    def settle(self, born: Born) -> None:
        """Note that the push was stored and concluded."""
        for link in born.deliveries:
            link.push_ended()

    def announce(self, pushes: Iterable[tuple[PushRows, Born]]) -> None:
        """Send the leased deliveries of these pushes, which are being written, to their engines, each once."""
        messages: dict[Link, list[list[Any]]] = {}
        for rows, born in pushes:
            if not born.is_announced:
                for link, leased in born.deliveries.items():
                    messages.setdefault(link, []).append(_announcement(rows, born.lease, leased))
                born.is_announced = True
        for link, announced in messages.items():
            link.send({"announced": announced})

    def conclude(self, pushes: Iterable[tuple[Born, bool]]) -> None:
        """Tell the engines which of these pushes were committed (True), and which were not stored."""
        messages: dict[Link, dict[str, Any]] = {}
        committed: dict[Link, list[list[DeliveryRow]]] = {}
        for born, is_stored in pushes:
            for link, leased in born.deliveries.items():
                if born.is_announced:
                    message = messages.setdefault(link, {"committed": [], "dropped": []})
                    message["committed" if is_stored else "dropped"].append(born.lease.hex)
                    if is_stored:
                        committed.setdefault(link, []).append(leased)
                elif is_stored:
                    self._release(leased)
        for link, message in messages.items():
            if not link.send(message):
                for leased in committed.get(link, ()):
                    self._release(leased)

    def close(self) -> None:
        self._is_closed = True
        if self._connect_timer is not None:
            self._connect_timer.cancel()
        for link in list(self._links.values()):
            link.close_when_done()

    # --- callbacks of the links ----------------------------------------------------------------------------

    def _on_message(self, link: Link, message: dict[str, Any]) -> None:
        if (offers := message.get("offers")) is not None:
            for offer in map(Offer._make, offers):
                open_offer = self._offers.get(offer.integration_id)
                left = open_offer.credits if open_offer is not None and open_offer.link is link else 0
                self._offers[offer.integration_id] = _OpenOffer(link, offer, left + offer.credits)
            self._on_offer()
        elif (closed := message["close"]) is not None:
            self._forget(link, closed)
        else:
            self._forget(link, None)
            link.close_when_done()

    def _on_lost(self, link: Link) -> None:
        self._links.pop(link.slot, None)
        self._forget(link, None)
        self._connect_in(RECONNECT_SECONDS)

    def _forget(self, link: Link, integrations: list[int] | None) -> None:
        for key in list(self._offers) if integrations is None else integrations:
            if (open_offer := self._offers.get(key)) is not None and open_offer.link is link:
                del self._offers[key]

    # --- connecting ----------------------------------------------------------------------------------------

    def _connect_in(self, seconds: float) -> None:
        if self._connect_timer is None and not self._is_closed:
            self._connect_timer = self._loop.call_later(seconds, self._connect)

    def _connect(self) -> None:
        """Connect to the engines that are not connected, before the first push: it shall be born claimed."""
        self._connect_timer = None
        for slot in range(settings.ENGINE_PROCESSES):
            if slot not in self._links and (connected := _connected(slot)) is not None:
                self._links[slot] = Link(
                    slot, connected, self._loop, on_message=self._on_message, on_lost=self._on_lost
                )
        if len(self._links) < settings.ENGINE_PROCESSES:
            self._connect_in(RECONNECT_SECONDS)


def _announcement(rows: PushRows, lease: uuid.UUID, leased: list[DeliveryRow]) -> list[Any]:
    by_event: dict[uuid.UUID, list[DeliveryRow]] = {}
    for row in leased:
        by_event.setdefault(row.event_id, []).append(row)
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
