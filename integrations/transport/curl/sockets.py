"""Waits for all of curl's sockets at once; another thread can end the wait."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import Any

import pycurl

#: File descriptors reserved for the rest of the process.
SPARE_DESCRIPTORS = 512
_SELECTOR_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


class CurlSockets:
    """curl's multi handle with its sockets and its timer. Only `wake` may be called from another thread."""

    def __init__(self, capacity: int) -> None:
        _raise_descriptor_limit(capacity + SPARE_DESCRIPTORS)
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, capacity)
        self.multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, capacity)
        self.multi.setopt(pycurl.M_PIPELINING, 0)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._due: float | None = None
        self._registered: dict[int, int] = {}
        self._kept: set[int] = set()
        self._closed: set[int] = set()
        self._watched: set[int] = set()
        #: A watched descriptor was readable in the last `drive`.
        self.has_other_input = False
        #: Seconds that `drive` has waited.
        self.waited = 0.0
        self._selector = selectors.DefaultSelector()
        self._wakes, self._waker = socket.socketpair()
        for end in (self._wakes, self._waker):
            end.setblocking(False)
        self._wake_descriptor = self._wakes.fileno()
        self._selector.register(self._wakes, selectors.EVENT_READ)

    def drive(self, timeout: float) -> None:
        """Wait up to `timeout` seconds for socket events or curl's timer, and let curl handle them."""
        if self._due is not None:
            timeout = min(timeout, max(self._due - time.monotonic(), 0.0))
        act, kept, watched = self.multi.socket_action, self._kept, self._watched
        self.has_other_input = False
        for key, events in self._select(timeout):
            descriptor = key.fd
            if descriptor == self._wake_descriptor:
                self._drain_wakes()
            elif descriptor in watched:
                self.has_other_input = True
            elif descriptor in kept:
                self._give_up(descriptor)
            else:  # EVENT_READ and EVENT_WRITE are 1 and 2, as curl's own CSELECT_IN and CSELECT_OUT
                act(descriptor, events)
        if self._due is not None and time.monotonic() >= self._due:
            self._due = None
            act(pycurl.SOCKET_TIMEOUT, 0)

    def _select(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout <= 0:
            return self._selector.select(0)
        begun = time.monotonic()
        found = self._selector.select(timeout)
        self.waited += time.monotonic() - begun
        return found

    def is_closed(self, descriptor: int) -> bool:
        """Return whether the receiver had closed this kept connection at the time of the last `drive`."""
        return descriptor in self._closed

    def opened(self, descriptor: int) -> None:
        """Forget what is known of `descriptor`: its number now belongs to a new socket."""
        self._forget(descriptor)
        self._closed.discard(descriptor)

    def wake(self) -> None:
        """End a waiting `drive`."""
        with contextlib.suppress(OSError):  # buffer full: it wakes anyway; closed: nothing is waiting
            self._waker.send(b"\0")

    def watch(self, descriptor: int) -> None:
        """Let a descriptor that is not curl's end a waiting `drive`."""
        self._watched.add(descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ)

    def unwatch(self, descriptor: int) -> None:
        self._watched.discard(descriptor)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def close(self) -> None:
        self.multi.close()
        self._selector.close()
        self._wakes.close()
        self._waker.close()

    def _watch(self, what: int, descriptor: int, _multi: Any, _data: Any) -> None:
        """Register the events curl wants for a socket (CURLMOPT_SOCKETFUNCTION).

        An idle connection stays registered. This saves two system calls per request and detects when the receiver
        closes it; curl itself would only check after one idle second.
        """
        if what == pycurl.POLL_REMOVE:
            if descriptor in self._registered:
                self._register(descriptor, selectors.EVENT_READ)
                self._kept.add(descriptor)
        elif events := _SELECTOR_EVENTS.get(what):
            self._kept.discard(descriptor)
            self._register(descriptor, events)

    def _register(self, descriptor: int, events: int) -> None:
        before = self._registered.get(descriptor)
        if before is None:
            self._selector.register(descriptor, events)
        elif before != events:
            self._selector.modify(descriptor, events)
        self._registered[descriptor] = events

    def _give_up(self, descriptor: int) -> None:
        """Mark an idle connection as closed: between requests, the only valid event is its end."""
        self._forget(descriptor)
        self._closed.add(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._kept.discard(descriptor)
        if self._registered.pop(descriptor, None) is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(descriptor)

    def _set_timer(self, milliseconds: int) -> None:
        self._due = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000

    def _drain_wakes(self) -> None:
        try:
            while len(self._wakes.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass


def _raise_descriptor_limit(needed: int) -> None:
    """Raise the soft limit on open files to `needed` if the hard limit allows it; the usual limit is 1,024."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
