"""(g) Flatness: what a delivery costs with little and with much due, and with millions finished behind.

Cost is processor time of engines and database per delivery, and the rate as the clock has it; the median of
several windows of one run, because loading ten million rows takes longer than measuring. With a backlog of a
thousand, a feeder keeps about a thousand due; its own work in the database is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from tests.benchmarks.engines import Processes, backends_of, check_against_database, wait_for_engines, worker
from tests.benchmarks.environment import scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.measures import cpu_of
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.rows import Loader
from tests.benchmarks.scenarios.throughput import plant

SCENARIO = "Flatness: cost of a delivery"
TARGET = Target(1.3, 1.1, " ×", is_ceiling=True)
MEMORY = Target(200, 120, " MB", is_ceiling=True)
#: Below so many due the queue would be empty before anything is measured: it is fed.
FED_BELOW = 10_000
#: Until windows have grown and caches are warm, in seconds.
WARMING = 3.0


@dataclass(slots=True)
class Cost:
    """`cpu_us` per delivery, in µs."""

    count: int
    rate: float
    cpu_us: float
    peak_mb: float
    loading: float


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        for transport in options.transports:
            yield from _flatness(options, database, transport)
    if options.finished:
        for database in options.databases:
            yield from _behind(options, database)


def _flatness(options: Options, database: str, transport: str) -> Iterator[Figure]:
    base: Cost | None = None
    for backlog in options.backlogs:
        cost = _measure(options, database, transport, backlog=backlog, finished=0)
        yield from _figures(f"{database}, {transport}, {backlog:,} due", cost, base, f"{options.backlogs[0]:,} due")
        if backlog == max(options.backlogs):
            name = f"{database}, {transport}, {backlog:,} due: memory of an engine process at its peak"
            yield Figure(SCENARIO, name, cost.peak_mb, "MB", target=MEMORY)
        base = base or cost


def _behind(options: Options, database: str) -> Iterator[Figure]:
    transport = options.transports[-1]
    size = options.backlogs[min(1, len(options.backlogs) - 1)]
    base = _measure(options, database, transport, backlog=size, finished=0)
    cost = _measure(options, database, transport, backlog=size, finished=options.finished)
    name = f"{database}, {transport}, {size:,} due, {options.finished:,} finished behind"
    yield from _figures(name, cost, base, "none behind")


def _figures(name: str, cost: Cost, base: Cost | None, rival: str) -> Iterator[Figure]:
    note = f"{cost.rate:,.0f}/s; {cost.count:,} measured; loaded in {cost.loading:.0f} s"
    if base is None:
        yield Figure(SCENARIO, f"{name}: processor time", cost.cpu_us, "µs", note=note)
        return
    yield Figure(SCENARIO, f"{name}: processor time", cost.cpu_us, "µs", rival, base.cpu_us, TARGET, note)
    clock, clock_before = 1e6 / cost.rate, 1e6 / base.rate
    yield Figure(SCENARIO, f"{name}: by the clock", clock, "µs", rival, clock_before, TARGET)


def _measure(options: Options, database: str, transport: str, *, backlog: int, finished: int) -> Cost:
    with ExitStack() as stack:
        installation = stack.enter_context(scratch(database))
        receiver = stack.enter_context(LedgerReceiver())
        loader = Loader(installation, plant(installation, receiver))
        loading = loader.load_finished(1, finished) if finished else 0.0
        loading += loader.load_due(finished + 1, backlog)
        loader.settle_down()
        feeder = _Feeder(loader, finished + backlog + 1, backlog)
        running = stack.enter_context(worker(installation, transport=transport))
        engines = wait_for_engines(running, 2)
        feeder.feed_until(running, receiver, seconds=WARMING)
        processes = [*engines, *backends_of(installation)]
        windows = [
            window
            for _ in range(options.repeat)
            if (window := _window(feeder, running, receiver, processes, options.seconds(10, 5)))
        ]
        peak = max(usage.peak_mb for usage in running.usages(engines))
        running.stop()
        check_against_database(installation, [receiver])
        if not windows:
            raise RuntimeError(
                f"A backlog of {backlog:,} is worked off before anything is measured; take a larger one."
            )
        rate, cost = (statistics.median(values) for values in list(zip(*windows, strict=True))[1:])
        return Cost(sum(window[0] for window in windows), rate, cost, peak, loading)


def _window(
    feeder: _Feeder, running: Processes, receiver: LedgerReceiver, processes: list[int], seconds: float
) -> tuple[int, float, float] | None:
    """Deliveries, rate, and µs of processor time each; None if hardly anything was left to deliver."""
    before, cpu, started = receiver.count, cpu_of(processes), time.monotonic()
    feeder.feed_until(running, receiver, seconds=seconds)
    elapsed, count, spent = time.monotonic() - started, receiver.count - before, cpu_of(processes) - cpu
    return (count, count / elapsed, spent / count * 1e6) if count and elapsed > seconds / 4 else None


class _Feeder:
    """Keeps a small backlog at its size; leaves a large one alone."""

    def __init__(self, loader: Loader, first: int, backlog: int) -> None:
        self._loader, self._next, self._backlog = loader, first, backlog
        self._loaded = backlog

    def feed_until(self, running: Processes, receiver: LedgerReceiver, *, seconds: float) -> None:
        """Returns after `seconds`, or when a large backlog is nearly worked off."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            running.require_alive()
            left = self._loaded - receiver.count
            if self._backlog < FED_BELOW:
                if missing := max(0, self._backlog - left) // 250 * 250:
                    self._loader.load_due(self._next, missing)
                    self._next += missing
                    self._loaded += missing
            elif left < self._backlog / 10:
                return
            time.sleep(0.005)
