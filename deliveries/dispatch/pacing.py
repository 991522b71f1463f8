"""Limits on the requests that each integration may have in flight: windows, rate limits, breakers, fair shares.

Pure: the time is a parameter (wall clock, as stored in the database).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deliveries.dispatch.types import IntegrationQueue

#: A new integration starts with this many requests in flight; the window doubles per round trip while it answers. An
#: integration that hangs therefore never occupies more than this of an engine's capacity.
INITIAL_WINDOW = 8
#: Integrations that have not answered recently share at most this fraction of the capacity.
UNPROVEN_SHARE = 0.5
#: Enough requests in flight for receivers that answer immediately; see `AdaptiveConcurrency`.
INITIAL_CONCURRENCY = 256
BREAKER_THRESHOLD = 10
PROBE_MIN_PAUSE = timedelta(seconds=5)
PROBE_MAX_PAUSE = timedelta(seconds=30)
#: How long a half-open breaker waits for its probe before it sends another.
PROBE_TIMEOUT = timedelta(seconds=30)

#: What this process last wrote about each integration's health: when, and whether it was healthy. While it was healthy,
#: successes need not be written, unless a claim finds that another engine has recorded failures.
written_health: dict[int, tuple[datetime, bool]] = {}
#: Successes since then that were not written; they are added with the next write.
unwritten_successes: Counter[int] = Counter()


class AdaptiveConcurrency:
    """The useful number of requests in flight in one engine, at most its capacity.

    Each connection costs memory and slows down connection lookup, so a fast receiver is best served over few
    connections, while one that takes half a second per request needs thousands. To tell them apart: are there more
    requests still in flight than results in the batch that the engine is about to record?
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self.size = min(INITIAL_CONCURRENCY, capacity)

    def adjust(self, *, completed: int, in_flight: int) -> None:
        """Adapt the size. Call with each batch: `completed` results to record, `in_flight` requests still running."""
        if in_flight > completed and completed + in_flight >= self.size // 2:
            self.size = min(self._capacity, self.size * 2)
        elif in_flight < completed // 4:
            self.size = max(min(INITIAL_CONCURRENCY, self._capacity), self.size - self.size // 8)


@dataclass(slots=True)
class _Window:
    size: float = INITIAL_WINDOW
    in_flight: int = 0
    is_proven: bool = False


class Pacer:
    """One engine's view of how its integrations respond."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._windows: dict[int, _Window] = {}
        self._last_served = 0  # integration that was allocated capacity last: the next round starts after it

    def on_dispatch(self, integration_id: int) -> None:
        self._window(integration_id).in_flight += 1

    def on_result(self, integration_id: int, *, is_responsive: bool) -> None:
        """Adapt the window. Any response, whatever its status, proves that the integration is up; a timeout or a
        refused connection does not.
        """
        window = self._window(integration_id)
        window.in_flight -= 1
        if is_responsive:
            window.is_proven = True
            window.size = min(self.capacity, window.size + 1)
        else:
            window.is_proven = False
            window.size = max(1.0, min(window.size, INITIAL_WINDOW) / 2)

    def _window(self, integration_id: int, *, is_proven: bool = False) -> _Window:
        """Return the integration's window. `is_proven`: initial value from stored health, if there is no window yet."""
        window = self._windows.get(integration_id)
        if window is None:
            window = self._windows[integration_id] = _Window(is_proven=is_proven)
        return window

    def is_proven(self, integration_id: int) -> bool:
        """Whether it responded to the last request."""
        window = self._windows.get(integration_id)
        return window is not None and window.is_proven

    def window_of(self, integration_id: int) -> int:
        """How many requests it may have in flight at once, judged by its responses."""
        return int(self._window(integration_id).size)

    def room_for(self, candidate: IntegrationQueue, now: datetime) -> int:
        """How many more requests this integration may take now under its own limits."""
        if candidate.throttled_until is not None and candidate.throttled_until > now:
            return 0
        if candidate.breaker != "closed":
            return 1 if candidate.probe_at is None or candidate.probe_at <= now else 0
        window = self._window(candidate.integration_id)
        room = min(int(window.size) - window.in_flight, candidate.max_in_flight - candidate.taken)
        if candidate.rate_limit is not None:
            room = min(room, int(tokens(candidate, now)))
        return max(0, room)

    def allocate(self, candidates: Sequence[IntegrationQueue], room: int, now: datetime) -> dict[int, int]:
        """Share `room` among the candidates round-robin: {integration id: how many}.

        Each round starts after the integration served last, so that those that got nothing come first.
        """
        for candidate in candidates:
            self._window(candidate.integration_id, is_proven=candidate.answered_last)
        wanted = {c.integration_id: n for c in candidates if c.next_due <= now and (n := self.room_for(c, now))}
        order = sorted(wanted, key=lambda integration_id: (integration_id <= self._last_served, integration_id))
        unproven = [integration_id for integration_id in order if not self._windows[integration_id].is_proven]
        granted = _share_fairly(unproven, wanted, self._room_for_unproven())
        for integration_id in unproven:
            wanted[integration_id] = granted[integration_id]
        shares = {key: share for key, share in _share_fairly(order, wanted, room).items() if share}
        if shares:
            self._last_served = next(reversed(shares))
        return shares

    def _room_for_unproven(self) -> int:
        held = sum(window.in_flight for window in self._windows.values() if not window.is_proven)
        return max(0, max(1, int(self.capacity * UNPROVEN_SHARE)) - held)


def _share_fairly(order: Sequence[int], wanted: Mapping[int, int], room: int) -> dict[int, int]:
    """Divide `room` equally in this order; nobody gets more than they want."""
    shares = dict.fromkeys(order, 0)
    waiting = [key for key in order if wanted[key]]
    while room > 0 and waiting:
        share = max(1, room // len(waiting))
        for key in list(waiting):
            taken = min(share, wanted[key] - shares[key], room)
            shares[key] += taken
            room -= taken
            if shares[key] >= wanted[key]:
                waiting.remove(key)
            if room <= 0:
                break
    return shares


def tokens(candidate: IntegrationQueue, now: datetime) -> float:
    """Return the tokens in a rate-limited integration's bucket at `now`. The bucket holds one second's worth."""
    assert candidate.rate_limit is not None
    burst = max(1.0, candidate.rate_limit)
    if candidate.rate_refilled_at is None:
        return burst
    passed = max(0.0, (now - candidate.rate_refilled_at).total_seconds())
    return min(burst, candidate.rate_tokens + passed * candidate.rate_limit)


def next_eligible_at(candidate: IntegrationQueue, now: datetime) -> datetime:
    """Return the earliest time at which this integration may take a delivery."""
    moment = candidate.next_due
    if candidate.throttled_until is not None:
        moment = max(moment, candidate.throttled_until)
    if candidate.breaker != "closed" and candidate.probe_at is not None:
        moment = max(moment, candidate.probe_at)
    if candidate.rate_limit is not None and (missing := 1.0 - tokens(candidate, now)) > 0:
        moment = max(moment, now + timedelta(seconds=missing / candidate.rate_limit))
    return moment


def probe_delay(opened_at: datetime | None, now: datetime) -> timedelta:
    """Return the pause before the next probe. It doubles while the integration stays down."""
    if opened_at is None:
        return PROBE_MIN_PAUSE
    return min(PROBE_MAX_PAUSE, max(PROBE_MIN_PAUSE, now - opened_at))
