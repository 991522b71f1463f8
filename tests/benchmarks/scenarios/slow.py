"""(b) Receivers that take 50 and 500 ms: throughput, and how many requests one worker process has in dispatch."""

from __future__ import annotations

from collections.abc import Iterator

from tests.benchmarks.engines import Drain, check_against_database, drain, worker
from tests.benchmarks.environment import scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.rows import Loader, webhook_ids
from tests.benchmarks.scenarios.throughput import plant

SCENARIO = "Slow receivers, one engine process, PostgreSQL"
#: So many that the cap of 512 per integration is not what limits.
DESTINATIONS = 20
#: The product's default capacity of one process, and a larger one that staff may set.
CAPACITIES = {"requests": (256, 512), "curl": (2_000, 5_000)}
TARGETS = {"requests": Target(256, 512), "curl": Target(2_000, 5_000)}


def run(options: Options) -> Iterator[Figure]:
    database = "postgresql" if "postgresql" in options.databases else "sqlite"
    for transport in options.transports:
        for delay in (0.05, 0.5):
            for capacity in CAPACITIES[transport]:
                yield from _figures(options, database, transport, delay, capacity)


def _figures(options: Options, database: str, transport: str, delay: float, capacity: int) -> Iterator[Figure]:
    drained = _measure(options, database, transport, delay, capacity)
    name = f"{transport}, receiver of {delay * 1000:.0f} ms, capacity {capacity:,}"
    # Neither more than the capacity allows nor more than the receiver's pace: Little's law.
    ideal = capacity / delay
    note = f"{drained.count:,} deliveries; {drained.peak_mb:.0f} MB"
    yield Figure(SCENARIO, f"{name}: rate", drained.rate, "/s", "capacity / delay", ideal, note=note)
    target = TARGETS[transport] if delay == 0.5 else None
    yield Figure(SCENARIO, f"{name}: most in dispatch", drained.most_in_flight, "", target=target)


def _measure(options: Options, database: str, transport: str, delay: float, capacity: int) -> Drain:
    seconds = options.seconds(15, 6)
    count = int(min(capacity / delay, {"requests": 3_000, "curl": 6_000}[transport]) * seconds)
    with scratch(database) as installation, LedgerReceiver(answer_delay=delay) as receiver:
        loader = Loader(installation, plant(installation, receiver, count=DESTINATIONS))
        loader.load_due(1, count)
        loader.settle_down()
        with worker(installation, transport=transport, processes=1, capacity=capacity) as running:
            drained = drain(running, receiver, count, timeout=30, engines=1)
        receiver.check(webhook_ids(range(1, count + 1)))
        check_against_database(installation, [receiver])
        return drained
