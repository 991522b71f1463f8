"""(a) Deliveries per second to a fast receiver: the engine, the naive design, and the machine's ceilings."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial

from tests.benchmarks.engines import Drain, Processes, check_against_database, drain, wait_for_count, worker
from tests.benchmarks.environment import Installation, Plot, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.loadgen import run_load, write_request
from tests.benchmarks.naive import REDIS_URL
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.rows import Loader, webhook_ids

SCENARIO = "Deliveries per second, fast receiver"
DESTINATIONS = 10
TARGETS = {
    ("postgresql", "requests"): Target(20, 30, " ×"),
    ("postgresql", "curl"): Target(60, 90, " ×"),
    ("sqlite", "requests"): Target(12, 16, " ×"),
    ("sqlite", "curl"): Target(40, 90, " ×"),
}
COUNTS = {"requests": (60_000, 12_000), "curl": (150_000, 30_000)}


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        naive = _median(options, partial(_naive, database, "orm", options.count(3_000, 600)))
        yield Figure(SCENARIO, f"naive design, {database}, ORM broker", naive, "/s", note="one task per delivery")
        if database == "postgresql" and _has_redis():
            other = _median(options, lambda: _naive("postgresql", "redis", options.count(6_000, 1_000)))
            yield Figure(SCENARIO, "naive design, postgresql, Redis broker", other, "/s", note="one task per delivery")
        for transport in options.transports:
            yield _engine_figure(options, database, transport, naive)
    for transport in options.transports:
        rate = _client_ceiling(transport, options.seconds(8, 3))
        yield Figure(SCENARIO, f"ceiling: {transport} transport, no database", rate, "/s", note="2 processes")
    for database in options.databases:
        rate = _database_ceiling(database, options)
        yield Figure(SCENARIO, f"ceiling: {database} claims and records, no HTTP", rate, "/s", note="2 processes")
    yield Figure(SCENARIO, "ceiling: C client, same receiver", _receiver_ceiling(options), "/s", note="1 + 1 thread")


def _median(options: Options, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(options.repeat))


def _engine_figure(options: Options, database: str, transport: str, naive: float) -> Figure:
    runs = [engine_run(database, transport, options.count(*COUNTS[transport])) for _ in range(options.repeat)]
    middle = sorted(runs, key=lambda one: one.rate)[len(runs) // 2]
    return Figure(
        SCENARIO,
        f"engine, {database}, {transport}",
        middle.rate,
        "/s",
        "naive",
        naive,
        TARGETS[database, transport],
        f"{middle.count:,} deliveries; {middle.cpu_microseconds:.0f} µs CPU each; {middle.peak_mb:.0f} MB per engine",
        {
            "rates": [round(one.rate, 1) for one in runs],
            "engine_cpu_s": middle.engine_cpu,
            "database_cpu_s": middle.database_cpu,
            "processes": [(one.name[-40:], round(one.cpu, 2), round(one.resident_mb)) for one in middle.engines],
        },
    )


def plant(installation: Installation, receiver: LedgerReceiver, *, count: int = DESTINATIONS) -> Plot:
    """Destinations that all end at this receiver."""
    url = f"http://127.0.0.1:{receiver.port}/i"
    return installation.seed([{"url": f"{url}/{number}", "topics": ["shipment.*"]} for number in range(count)])


def engine_run(database: str, transport: str, count: int) -> Drain:
    """Load, start the worker, drain, check the ledger."""
    with scratch(database) as installation, LedgerReceiver() as receiver:
        loader = Loader(installation, plant(installation, receiver))
        loader.load_due(1, count)
        loader.settle_down()
        with worker(installation, transport=transport) as running:
            drained = drain(running, receiver, count, timeout=30)
        receiver.check(webhook_ids(range(1, count + 1)))
        check_against_database(installation, [receiver])
        return drained


def _naive(database: str, broker: str, count: int) -> float:
    with scratch(database) as installation, LedgerReceiver() as receiver:
        loader = Loader(installation, plant(installation, receiver))
        loader.load_due(1, count)
        loader.settle_down()
        command = ["-m", "tests.benchmarks.naive", broker, "4"]
        with Processes(installation, command, TEST_REDIS_URL=REDIS_URL) as running:
            wait_for_count(running, receiver, count, timeout=60)
            rate = count / receiver.seconds()
        receiver.check(webhook_ids(range(1, count + 1)))
        return rate


def _has_redis() -> bool:
    try:
        import redis

        return bool(redis.Redis.from_url(REDIS_URL, socket_timeout=2).ping())
    except Exception:
        return False


def _client_ceiling(transport: str, seconds: float) -> float:
    with scratch("sqlite") as installation, LedgerReceiver() as receiver:
        command = ["client", transport, str(receiver.port), str(seconds)]
        rate = _together(installation, command)
        receiver.check({entry.webhook_id for entry in receiver.entries()})
        return rate


def _database_ceiling(database: str, options: Options) -> float:
    with scratch(database) as installation, LedgerReceiver() as receiver:
        loader = Loader(installation, plant(installation, receiver))
        seconds = options.seconds(8, 3)
        loader.load_due(1, int(30_000 * seconds))
        loader.settle_down()
        return _together(installation, ["database", str(seconds)])


def _together(installation: Installation, command: list[str]) -> float:
    """The sum of the rates of two processes, one per core."""
    logs = [f"ceiling{core}" for core in range(2)]
    processes = [
        installation.start("-m", "tests.benchmarks.ceilings", *command, str(core), log=log)
        for core, log in enumerate(logs)
    ]
    for process, log in zip(processes, logs, strict=True):
        if process.wait(120):
            raise RuntimeError(f"{sys.executable} … {' '.join(command)}: {installation.last_words(log)}")
    answers = [json.loads(installation.last_words(log).strip().splitlines()[-1]) for log in logs]
    return sum(answer["count"] / answer["seconds"] for answer in answers)


def _receiver_ceiling(options: Options) -> float:
    with scratch("sqlite") as installation, LedgerReceiver(capacity=4_000_000) as receiver:
        request = write_request(installation.folder, "/i/0", {"data": "x" * 450}, {})
        load = run_load(receiver.port, request, seconds=options.seconds(5, 2), connections=32)
        return load.rate
