"""(e) From push to receiver: through the web server, the database and the engine, idle and at half load."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.benchmarks.bare_chain import bare_chain
from tests.benchmarks.engines import Processes, check_against_database, wait_for_engines, worker
from tests.benchmarks.environment import Installation, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.loadgen import Load, run_load
from tests.benchmarks.measures import percentile
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import Entry, LedgerReceiver
from tests.benchmarks.scenarios.throughput import plant
from tests.benchmarks.web import WebServer, push_request

SCENARIO = "Push → receiver"
TARGETS = {
    "postgresql": Target(5, 3, " ms", is_ceiling=True),
    "sqlite": Target(50, 15, " ms", is_ceiling=True),
}
IDLE_RATE, LIGHT_RATE = 8.0, 100.0


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        if database == "postgresql":
            yield from _bare_figures(options)
        for transport in options.transports:
            yield from _figures(options, database, transport)


def _bare_figures(options: Options) -> Iterator[Figure]:
    """What this machine needs for the commits and wake-ups alone."""
    with scratch("postgresql") as installation, LedgerReceiver() as receiver:
        request = push_request(installation.folder, plant(installation, receiver, count=1))
        with bare_chain(installation, receiver) as port:
            first = 1
            for what, rate in (("warm-up", IDLE_RATE), ("idle", IDLE_RATE), ("light load", LIGHT_RATE)):
                start = receiver.count
                seconds = 3 if what == "warm-up" else options.seconds(40, 12)
                load = run_load(port, request, seconds=seconds, connections=16, rate=rate, first=first).require_clean()
                first += load.sent
                entries = come_in(receiver, start, load.accepted)
                if what != "warm-up":
                    middle = percentile([(one.received_us - one.sent_us) / 1000 for one in entries], 0.5)
                    yield Figure(
                        SCENARIO, f"bare chain, postgresql, {what}: p50", middle, "ms", note="see bare_chain.py"
                    )


def come_in(receiver: LedgerReceiver, start: int, count: int) -> list[Entry]:
    """So many entries since `start`; raises if they do not come."""
    deadline = time.monotonic() + 10
    while receiver.count < start + count and time.monotonic() < deadline:
        time.sleep(0.05)
    entries = list(receiver.entries(start))
    if len(entries) != count:
        raise RuntimeError(f"{count} pushes were accepted, {len(entries)} deliveries came")
    return entries


def _figures(options: Options, database: str, transport: str) -> Iterator[Figure]:
    with ExitStack() as stack:
        installation = stack.enter_context(scratch(database))
        receiver = stack.enter_context(LedgerReceiver())
        plot = plant(installation, receiver, count=1)
        web = stack.enter_context(WebServer(installation))
        running = stack.enter_context(worker(installation, transport=transport))
        wait_for_engines(running, 2)
        request = push_request(installation.folder, plot)
        measured = _Pushes(installation, running, receiver, web, request)
        name = f"{database}, {transport}"
        measured.push(rate=IDLE_RATE, seconds=6)  # until every process of the web server has started in full
        idle, _ = measured.push(rate=IDLE_RATE, seconds=options.seconds(40, 12))
        note = f"{IDLE_RATE:.0f} pushes/s, {len(idle)} deliveries"
        yield Figure(SCENARIO, f"{name}, idle: p50", percentile(idle, 0.5), "ms", target=TARGETS[database], note=note)
        yield Figure(SCENARIO, f"{name}, idle: p99", percentile(idle, 0.99), "ms")
        light, _ = measured.push(rate=LIGHT_RATE, seconds=options.seconds(20, 6))
        note = f"{LIGHT_RATE:.0f} pushes/s"
        yield Figure(SCENARIO, f"{name}, light load: p50", percentile(light, 0.5), "ms", note=note)
        yield Figure(SCENARIO, f"{name}, light load: p99", percentile(light, 0.99), "ms")
        capacity = measured.capacity(options.seconds(8, 4))
        rate = capacity / 2
        half, _ = measured.push(rate=rate, seconds=options.seconds(20, 6))
        note = f"{rate:.0f} pushes/s, half of what goes through"
        yield Figure(SCENARIO, f"{name}, half load: p50", percentile(half, 0.5), "ms", note=note)
        yield Figure(SCENARIO, f"{name}, half load: p99", percentile(half, 0.99), "ms")
        running.stop()
        check_against_database(installation, [receiver])


class _Pushes:
    """Pushes to one installation, one delivery each."""

    def __init__(
        self, installation: Installation, running: Processes, receiver: LedgerReceiver, web: WebServer, request: object
    ) -> None:
        self._installation, self._running, self._receiver = installation, running, receiver
        self._web, self._request, self._first = web, request, 1

    def push(self, *, rate: float, seconds: float, connections: int = 16) -> tuple[list[float], Load]:
        """Milliseconds from when each push was due to when its delivery came in; waits for all of them."""
        start = self._receiver.count
        load = run_load(
            self._web.port,
            self._request,  # type: ignore[arg-type]
            seconds=seconds,
            connections=connections,
            rate=rate,
            first=self._first,
        ).require_clean()
        self._first += load.sent
        query = "SELECT count(*) FROM deliveries_delivery WHERE due_at IS NOT NULL"
        if not self._installation.wait_for(query, 0, timeout=60 + seconds * 4):
            raise RuntimeError(f"{self._installation.value(query)} deliveries are stuck")
        entries = list(self._receiver.entries(start))
        if len(entries) != load.accepted:
            raise RuntimeError(f"{load.accepted} pushes were accepted, {len(entries)} deliveries came")
        return [(entry.received_us - entry.sent_us) / 1000 for entry in entries], load

    def capacity(self, seconds: float) -> float:
        """Deliveries per second at the receiver while pushes come as fast as they are answered."""
        start = self._receiver.count
        self.push(rate=0, seconds=seconds, connections=8)
        return (self._receiver.count - start) / self._receiver.seconds(start)
