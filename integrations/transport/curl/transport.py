"""The fast transport: thousands of requests in flight in one thread, with libcurl. Needs `hookdesk[curl]`."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

import certifi

from integrations.transport.base import Request, Response, Result, TransportError, transport_error
from integrations.transport.daemon_pool import DaemonPool
from integrations.transport.guard.addresses import AddressPolicy
from integrations.transport.guard.dns import Addresses, Resolver, permitted_addresses, shared_resolver
from integrations.transport.http_message import Prepared, prepare
from integrations.transport.mail import is_mail, send_mail_request

try:
    import pycurl

    from integrations.transport.curl.handles import CurlHandle, KeptConnections
    from integrations.transport.curl.sockets import CurlSockets
except ImportError as missing:
    raise RuntimeError(
        "The curl transport needs pycurl. Install it with: pip install 'hookdesk[curl]', or choose the "
        "transport 'requests'."
    ) from missing

DEFAULT_CAPACITY = 2000
MAIL_THREADS = 8
#: How often the deadlines of requests that wait for DNS or the mail server are checked.
OUTSIDE_SECONDS = 0.05


def initialize() -> None:
    """Initialize the TLS library, which the first multi handle of a process does: 4 MB that forked processes share."""
    pycurl.CurlMulti().close()


class CurlTransport:
    """Drives curl's multi interface from `collect`; `Transport` documents the methods."""

    def __init__(
        self,
        policy: AddressPolicy,
        capacity: int = DEFAULT_CAPACITY,
        *,
        ca_file: str | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.capacity = capacity
        self._policy = policy
        self._ca_file = ca_file or certifi.where()
        self._resolver = resolver or shared_resolver()
        self._results: list[Result] = []
        self._running: dict[Any, CurlHandle] = {}
        self._idle: dict[tuple[str, bool], list[CurlHandle]] = {}
        self._sockets = CurlSockets(capacity)
        self._connections = KeptConnections(self._sockets)
        self._outside = PendingOffThread(self._sockets.wake)
        self._mails = DaemonPool(MAIL_THREADS, "mail")
        self._is_woken = False
        self._is_closed = False

    def submit(self, key: Hashable, request: Request) -> None:
        deadline = time.monotonic() + request.timeout
        try:
            if is_mail(request):
                self._mail(key, request, deadline)
                return
            prepared = prepare(request, self._policy)
            target = prepared.target
            known = (target.address,) if target.address else self._resolver.remembered(target.host)
            if known is None:
                self._look_up(key, prepared, deadline)
            else:
                self._start(key, prepared, known, deadline)
        except TransportError as error:
            self._results.append(Result(key, None, error, 0.0))

    def collect(self, timeout: float) -> Sequence[Result]:
        until = time.monotonic() + timeout
        wait = 0.0  # the first round only takes results that are ready
        while True:
            self._sockets.drive(0.0 if self._results or self._is_woken else wait)
            self._results += self._outside.arrived()
            self._harvest()
            wait = until - time.monotonic()
            if self._is_woken:
                self._is_woken = False
                break
            if self._results or wait <= 0 or self._sockets.has_other_input:
                break
            if self._outside.has_waiting:
                wait = min(wait, OUTSIDE_SECONDS)
        results, self._results = self._results, []
        return results

    def wake(self) -> None:
        self._is_woken = True
        self._sockets.wake()

    @property
    def waited(self) -> float:
        return self._sockets.waited

    def watch(self, descriptor: int) -> None:
        self._sockets.watch(descriptor)

    def unwatch(self, descriptor: int) -> None:
        self._sockets.unwatch(descriptor)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._mails.close()
        for easy, handle in self._running.items():
            self._sockets.multi.remove_handle(easy)
            handle.close()
        for handle in itertools.chain.from_iterable(self._idle.values()):
            handle.close()
        self._running.clear()
        self._idle.clear()
        self._sockets.close()

    def _start(self, key: Hashable, prepared: Prepared, addresses: Addresses, deadline: float) -> None:
        addresses = permitted_addresses(prepared.target, addresses, self._policy)
        kind = (prepared.method, prepared.body is not None)
        idle = self._idle.get(kind)
        handle = idle.pop() if idle else CurlHandle(*kind, self._policy, self._ca_file, self._connections)
        handle.start(key, prepared, addresses, deadline)
        self._running[handle.easy] = handle
        self._sockets.multi.add_handle(handle.easy)

    def _harvest(self) -> None:
        """Take finished transfers from curl and keep their handles for reuse."""
        remaining = 1
        while remaining:
            remaining, succeeded, failed = self._sockets.multi.info_read()
            for easy in succeeded:
                self._finish(easy, 0, "")
            for easy, code, message in failed:
                self._finish(easy, code, message)

    def _finish(self, easy: Any, code: int, message: str) -> None:
        self._sockets.multi.remove_handle(easy)
        handle = self._running[easy]
        if handle.must_restart:
            handle.restart()
            self._sockets.multi.add_handle(easy)
            return
        del self._running[easy]
        self._results.append(handle.result(code, message))
        idle = self._idle.setdefault(handle.kind, [])
        if len(idle) < self.capacity:
            idle.append(handle)
        else:
            handle.close()

    def _look_up(self, key: Hashable, prepared: Prepared, deadline: float) -> None:
        def start(future: Future[Addresses]) -> Result | None:
            try:
                self._start(key, prepared, future.result(), deadline)
            except Exception as error:  # must not end `collect`
                return Result(key, None, transport_error(error), 0.0)
            return None

        late = f"The DNS lookup of {prepared.target.host} did not end before the deadline."
        finish = self._outside.expect(key, deadline, late)
        self._resolver.lookup(prepared.target.host).add_done_callback(
            lambda future: finish(lambda: start(future)),
        )

    def _mail(self, key: Hashable, request: Request, deadline: float) -> None:
        def send() -> None:
            started = time.monotonic()
            response: Response | None = None
            error: TransportError | None = None
            try:
                response = send_mail_request(request, max(deadline - started, 0.001))
            except TransportError as known:
                error = known
            except Exception as unknown:  # a mail backend may raise anything; it must not end the engine
                error = TransportError(TransportError.CONNECTION, f"The mail failed: {type(unknown).__name__}.")
            result = Result(key, response, error, time.monotonic() - started)
            finish(lambda: result)

        finish = self._outside.expect(key, deadline, "The mail server did not respond before the deadline.")
        self._mails.submit(send)


class PendingOffThread:
    """Requests that wait for another thread (DNS or mail). Each ends exactly once, at its deadline at the latest."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._tickets = itertools.count()
        self._waiting: dict[int, tuple[float, Result]] = {}
        self._arrivals: deque[tuple[int, Callable[[], Result | None]]] = deque()
        self._next_look = 0.0

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def expect(self, key: Hashable, deadline: float, lateness: str) -> Callable[[Callable[[], Result | None]], None]:
        """Return a callback for the other thread. It takes a function, which the owner thread runs in `arrived`."""
        ticket = next(self._tickets)
        late = TransportError(TransportError.TIMEOUT, lateness)
        self._waiting[ticket] = (deadline, Result(key, None, late, max(deadline - time.monotonic(), 0.0)))

        def finish(outcome: Callable[[], Result | None]) -> None:
            self._arrivals.append((ticket, outcome))
            self._wake()

        return finish

    def arrived(self) -> list[Result]:
        """Run the callbacks that have arrived. Return their results and the timeouts; a started transfer has none."""
        results = []
        while self._arrivals:
            ticket, outcome = self._arrivals.popleft()
            if self._waiting.pop(ticket, None) is not None:
                result = outcome()
                if result is not None:
                    results.append(result)
        now = time.monotonic()
        if self._waiting and now >= self._next_look:
            self._next_look = now + OUTSIDE_SECONDS
            late = [ticket for ticket, (deadline, _) in self._waiting.items() if now >= deadline]
            results += [self._waiting.pop(ticket)[1] for ticket in late]
        return results
