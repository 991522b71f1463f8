"""(c) Of 100 integrations 10 never answer: what those that do answer notice of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.engines import check_against_database, wait_for_engines, worker
from tests.benchmarks.environment import scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.loadgen import run_load
from tests.benchmarks.measures import percentile
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import NEVER, LedgerReceiver
from tests.benchmarks.web import WebServer, event_request

SCENARIO = "10 of 100 integrations hang: push → receiver of the other 90"
INTEGRATIONS = 100
HANGING = 10
#: Seconds until an attempt that hangs is given up.
TIMEOUT = 10.0
#: Events per second, well below what two cores take in.
RATES = {"postgresql": 100.0, "sqlite": 40.0}
TARGET = Target(2, 1.2, " ×", is_ceiling=True)


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        for transport in options.transports:
            yield from _figures(options, database, transport)


def _figures(options: Options, database: str, transport: str) -> Iterator[Figure]:
    """In turn with and without, so that what else the machine does falls on both alike."""
    rate = RATES[database]
    without, among = [], []
    for _ in range(options.repeat):
        without.append(_latencies(options, database, transport, 0, rate))
        among.append(_latencies(options, database, transport, HANGING, rate))
    note = f"{sum(map(len, among)):,} deliveries in {options.repeat} runs"
    for share, target in ((0.5, None), (0.99, TARGET)):
        bad = [percentile(latencies, share) for latencies in among]
        good = [percentile(latencies, share) for latencies in without]
        yield Figure(
            SCENARIO,
            f"{database}, {transport}, {rate:.0f} events/s: p{share * 100:.0f}",
            statistics.median(bad),
            "ms",
            "none hanging",
            statistics.median(good),
            target,
            note,
            {"hanging_ms": bad, "none_hanging_ms": good},
        )


def _latencies(options: Options, database: str, transport: str, hanging: int, rate: float) -> list[float]:
    """Milliseconds from push to receiver, of the integrations that answer in both runs."""
    with ExitStack() as stack:
        installation = stack.enter_context(scratch(database))
        good = stack.enter_context(LedgerReceiver())
        bad = stack.enter_context(LedgerReceiver(answer_delay=NEVER))
        plot = installation.seed([_destination(number, good, bad, hanging) for number in range(INTEGRATIONS)])
        web = stack.enter_context(WebServer(installation))
        running = stack.enter_context(worker(installation, transport=transport))
        wait_for_engines(running, 2)
        request = event_request(installation.folder, plot)
        # Warm up: caches, connections, windows.
        run_load(web.port, request, seconds=2, connections=8, rate=rate, modulo=INTEGRATIONS)
        start = good.count
        seconds = options.seconds(40, 12)
        load = run_load(web.port, request, seconds=seconds, connections=8, rate=rate, modulo=INTEGRATIONS, first=10**9)
        load.require_clean()
        others = f"status <> 'succeeded' AND integration_id >= {plot.first_integration + hanging}"
        query = f"SELECT count(*) FROM deliveries_delivery WHERE {others}"
        if not installation.wait_for(query, 0, timeout=60):
            raise RuntimeError(f"{installation.value(query)} deliveries to receivers that answer are stuck")
        running.stop()
        check_against_database(installation, [good])
        return [
            (entry.received_us - entry.sent_us) / 1000 for entry in good.entries(start) if entry.destination >= HANGING
        ]


def _destination(number: int, good: LedgerReceiver, bad: LedgerReceiver, hanging: int) -> dict[str, Any]:
    port = (bad if number < hanging else good).port
    url = f"http://127.0.0.1:{port}/i/{number}"
    return {"url": url, "topics": [f"t{number:03d}.*"], "timeout": TIMEOUT}
