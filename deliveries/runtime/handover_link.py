"""A web process's connection to one engine of its host."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from deliveries.runtime import handover
from deliveries.runtime.handover import Messages

logger = logging.getLogger("hookdesk.web")

_READ_BYTES = 64 * 1024


class Link:
    """The connection to the engine in one slot. Only `send` may be called from another thread than the loop's.

    `on_message(link, message)` is called with each message of the engine, and `on_lost(link)` once, at the end.
    """

    def __init__(
        self,
        slot: int,
        connected: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        on_message: Callable[[Link, dict[str, Any]], None],
        on_lost: Callable[[Link], None],
    ) -> None:
        self.slot = slot
        self._loop, self._socket = loop, connected
        self._on_message, self._on_lost = on_message, on_lost
        self._messages = Messages()
        self.is_lost = False
        #: Number of pushes with deliveries for this engine that are not yet committed.
        self.uncommitted = 0
        self._is_closing = False
        self._unsent = bytearray()
        self._lock = threading.Lock()  # of the socket's end and of what it has not taken
        loop.add_reader(connected.fileno(), self._read)

    def send(self, message: dict[str, Any]) -> bool:
        """Send, or keep what the socket does not take at once. False: the connection is lost."""
        data = handover.packed(message)
        with self._lock:
            if self.is_lost:
                return False
            if not self._unsent:
                try:
                    data = data[self._socket.send(data) :]
                except BlockingIOError:
                    pass
                except OSError:  # the reader will notice
                    return False
                if not data:
                    return True
            self._unsent += data
        with suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(self._send_rest)
        return True

    def _send_rest(self) -> None:
        with self._lock:
            if self.is_lost:
                return
            try:
                del self._unsent[: self._socket.send(self._unsent)]
            except BlockingIOError:
                pass
            except OSError:
                self._unsent.clear()
            if self._unsent:
                self._loop.add_writer(self._socket.fileno(), self._send_rest)
            else:
                self._loop.remove_writer(self._socket.fileno())
        self._close_if_done()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        try:
            for message in self._messages.feed(data):
                self._on_message(self, message)
        except (ValueError, TypeError, KeyError):
            logger.exception("engine %s sent an invalid message", self.slot)
            self._lose()

    def _lose(self) -> None:
        with self._lock:
            if self.is_lost:
                return
            self.is_lost = True
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._on_lost(self)

    def push_ended(self) -> None:
        """Note that an uncommitted push was handed over or given up."""
        self.uncommitted -= 1
        self._close_if_done()

    def close_when_done(self) -> None:
        """Close the connection once nothing is uncommitted. A stopping engine waits for that."""
        self._is_closing = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._is_closing and not self.uncommitted and not self._unsent:
            self._lose()
