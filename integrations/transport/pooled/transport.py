"""The default transport: a thread pool that sends with `requests`."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from queue import Empty, SimpleQueue

from integrations.transport.base import Request, Response, Result, TransportError
from integrations.transport.daemon_pool import DaemonPool
from integrations.transport.deadlines import Attempt, shared_watchdog
from integrations.transport.guard.addresses import AddressPolicy
from integrations.transport.guard.dns import Resolver
from integrations.transport.mail import is_mail, send_mail_request
from integrations.transport.pooled.adapter import Sender
from integrations.transport.pooled.watcher import Watcher

DEFAULT_CAPACITY = 256

#: Initial and minimum limit on busy threads.
FIRST_THREADS = 8
PACE_SECONDS = 0.004
#: Below this CPU share of one core, more threads raise throughput; above it they only add context switches.
BUSY_SHARE = 0.75
#: Once a request has been queued this many seconds, the limit is raised however busy the process is.
MAX_WAIT = 0.3


class Pace:
    """Adapts the number of busy threads: fast receivers need few, slow receivers many.

    Measured with a fast receiver, 8 threads send 5,400 small requests per second and 256 threads 3,700, because
    context switches cost more than sending. A receiver that takes half a second needs one thread per request. The
    process's CPU share tells the two cases apart.
    """

    def __init__(self, threads: DaemonPool) -> None:
        self._threads = threads
        self._looked = time.monotonic()
        self._used = time.process_time()

    def adjust(self) -> None:
        """Adjust the limit, at most every `PACE_SECONDS` and only while requests are queued."""
        now = time.monotonic()
        elapsed = now - self._looked
        if elapsed < PACE_SECONDS or not self._threads.has_waiting:
            return
        used = time.process_time()
        share = (used - self._used) / elapsed
        self._looked, self._used = now, used
        limit = self._threads.limit
        if share < BUSY_SHARE or self._threads.longest_wait() > MAX_WAIT:
            self._threads.set_limit(limit * 2)
        else:
            self._threads.set_limit(max(FIRST_THREADS, limit - limit // 8))


class RequestsTransport:
    """Sends each request in its own thread; `Transport` documents the methods."""

    def __init__(
        self,
        policy: AddressPolicy,
        capacity: int = DEFAULT_CAPACITY,
        *,
        ca_file: str | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self.capacity = capacity
        self._sender = Sender(policy, capacity=capacity, ca_file=ca_file, resolver=resolver)
        self._threads = DaemonPool(capacity, "transport", limit=FIRST_THREADS)
        self._pace = Pace(self._threads)
        self._results: SimpleQueue[Result | None] = SimpleQueue()
        self._watcher = Watcher(self.wake)
        self.waited = 0.0

    def submit(self, key: Hashable, request: Request) -> None:
        run = _Run(key, request, self._sender, self._results.put)
        shared_watchdog().watch(run.attempt)
        self._threads.submit(run)

    def collect(self, timeout: float) -> Sequence[Result]:
        results: list[Result] = []
        self._watcher.resume()
        try:
            result = self._first(timeout)
            while result is not None:
                results.append(result)
                result = self._results.get_nowait()
        except Empty:
            pass
        return results

    def _first(self, timeout: float) -> Result | None:
        """Return the next result, or None after `wake`; raises Empty after `timeout`. Adjusts the pace meanwhile."""
        until = time.monotonic() + timeout
        while True:
            self._pace.adjust()
            left = until - time.monotonic()
            if left <= 0:
                return self._results.get_nowait()
            begun = time.monotonic()
            try:
                return self._results.get(timeout=min(left, PACE_SECONDS) if self._threads.has_waiting else left)
            except Empty:
                continue
            finally:
                self.waited += time.monotonic() - begun

    def wake(self) -> None:
        self._results.put(None)

    def watch(self, descriptor: int) -> None:
        self._watcher.add(descriptor)

    def unwatch(self, descriptor: int) -> None:
        self._watcher.remove(descriptor)

    def close(self) -> None:
        self._watcher.close()
        self._threads.close()
        self._sender.close()


class _Run:
    """One submitted request. It reports exactly one result: the outcome, or a timeout if it missed its deadline."""

    __slots__ = ("_key", "_report", "_request", "_sender", "_tokens", "attempt")

    def __init__(self, key: Hashable, request: Request, sender: Sender, report: Callable[[Result], None]) -> None:
        self._key = key
        self._request = request
        self._sender = sender
        self._report = report
        self._tokens = [None]  # the one that pops it reports: the thread or the watchdog
        self.attempt = Attempt(request.timeout, self._abandon)

    def __call__(self) -> None:
        started = time.monotonic()
        response: Response | None = None
        error: TransportError | None = None
        try:
            response = run_attempt(self._request, self.attempt, self._sender)
        except TransportError as known:
            error = known
        except Exception as unknown:  # whatever a library raises must not cost the engine a delivery
            error = TransportError(TransportError.CONNECTION, f"The attempt failed: {type(unknown).__name__}.")
        shared_watchdog().leave(self.attempt)
        self._finish(Result(self._key, response, error, time.monotonic() - started))

    def _abandon(self) -> None:
        error = TransportError(TransportError.TIMEOUT, "The attempt did not end before its deadline.")
        self._finish(Result(self._key, None, error, time.monotonic() - self.attempt.started))

    def _finish(self, result: Result) -> None:
        try:
            self._tokens.pop()
        except IndexError:
            return
        self._report(result)


def run_attempt(request: Request, attempt: Attempt, sender: Sender) -> Response:
    """Return the response to one HTTP or mail request; raises TransportError."""
    if time.monotonic() >= attempt.deadline:
        raise TransportError(TransportError.TIMEOUT, "The deadline passed before the request could be sent.")
    if is_mail(request):
        return send_mail_request(request, attempt.remaining())
    return sender.send(request, attempt)


@lru_cache(maxsize=4)
def _shared_sender(policy: AddressPolicy) -> Sender:
    return Sender(policy, capacity=16)


def send(request: Request, policy: AddressPolicy) -> Response:
    """Send one request and return its response within `request.timeout` seconds; raises TransportError.

    For handshakes and context requests in web processes, with the same address guard, limits and connection reuse.
    """
    attempt = Attempt(request.timeout)
    watchdog = shared_watchdog()
    watchdog.watch(attempt)
    try:
        return run_attempt(request, attempt, _shared_sender(policy))
    finally:
        watchdog.leave(attempt)
