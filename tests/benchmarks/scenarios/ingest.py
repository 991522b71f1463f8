"""(d) Pushes per second through the web server, beside bare PostgreSQL that inserts the same rows."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial

from tests.benchmarks.bare_postgresql import find_pgbench, pushes_per_second
from tests.benchmarks.environment import Installation, Plot, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.loadgen import Load, run_load
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.scenarios.throughput import plant
from tests.benchmarks.web import WebServer, push_request, source_request

SCENARIO = "Ingest: a push of new objects, 3 deliveries each"
SUBSCRIPTIONS = 3
BATCH = 100
#: By size of a push and clients: of bare PostgreSQL's rate with as many clients.
TARGETS = {(1, 8): Target(0.45, 0.6, " ×"), (1, 50): Target(0.9, 1.2, " ×"), (BATCH, 8): Target(0.6, 0.7, " ×")}
SQLITE_TARGET = Target(1500, 2000, "/s")
SLOWEST_BATCH = Target(150, 100, " ms", is_ceiling=True)


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        for size, clients in TARGETS:
            yield from _figures(options, database, size, clients)
        for size in (1, BATCH):
            inside = _median(options, partial(_in_process, options, database, size))
            note = "one process, no HTTP: token, plan, write"
            yield Figure(SCENARIO, f"in-process, {database}, {_what(size)}", inside * size, "objects/s", note=note)


def _what(size: int) -> str:
    return "single push" if size == 1 else f"batch of {size}"


def _figures(options: Options, database: str, size: int, clients: int) -> Iterator[Figure]:
    bare, what = None, f"{_what(size)}, {clients} clients"
    if database == "postgresql" and find_pgbench() is None:
        what += " (no pgbench here, so no rival)"
    elif database == "postgresql":
        bare = _median(options, lambda: _bare(options, size, clients))
        yield Figure(SCENARIO, f"bare PostgreSQL, {what}", bare * size, "objects/s", note=f"{bare:.0f} statements/s")
    loads = sorted((_web(options, database, size, clients) for _ in range(options.repeat)), key=lambda load: load.rate)
    load = loads[len(loads) // 2]
    yield Figure(
        SCENARIO,
        f"web server, {database}, {what}",
        load.rate * size,
        "objects/s",
        "bare PostgreSQL" if bare else "",
        bare and bare * size,
        TARGETS[size, clients] if bare else SQLITE_TARGET if (size, clients) == (1, 8) else None,
        f"{load.rate:.0f} requests/s; p50 {load.p50_us / 1000:.1f} ms, p99 {load.p99_us / 1000:.1f} ms",
        {"rates": [round(one.rate * size, 1) for one in loads]},
    )
    if size == BATCH:
        name = f"web server, {database}, {what}: answer, p99, from the first second of an empty database"
        yield Figure(SCENARIO, name, load.p99_us / 1000, "ms", target=SLOWEST_BATCH)
    if (size, clients) == (1, 8):
        yield _of_source(options, database, clients, load)


def _of_source(options: Options, database: str, clients: int, push: Load) -> Figure:
    """The same objects through a source: proven, remembered, written down."""
    loads = sorted(
        (_web(options, database, 1, clients, is_source=True) for _ in range(options.repeat)), key=lambda one: one.rate
    )
    load = loads[len(loads) // 2]
    note = f"p50 {load.p50_us / 1000:.1f} ms, p99 {load.p99_us / 1000:.1f} ms"
    return Figure(
        SCENARIO, f"a source, {database}, single object", load.rate, "objects/s", "push", push.rate, note=note
    )


def _median(options: Options, measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(options.repeat))


def _bare(options: Options, size: int, clients: int) -> float:
    with scratch("postgresql") as installation, LedgerReceiver() as receiver:
        plot = plant(installation, receiver, count=SUBSCRIPTIONS)
        return pushes_per_second(installation, plot, size=size, clients=clients, seconds=options.seconds(10, 4))


def _web(options: Options, database: str, size: int, clients: int, *, is_source: bool = False) -> Load:
    """Batches go into an empty database, whose statistics say that it is; single pushes after a second's warm-up."""
    with scratch(database) as installation, LedgerReceiver() as receiver:
        plot = plant(installation, receiver, count=SUBSCRIPTIONS)
        with WebServer(installation) as web:
            if is_source:
                request = source_request(installation.folder, plot, port=web.port)
            else:
                request = push_request(installation.folder, plot, size=size)
            warm = 0
            if size == 1:
                warm = run_load(web.port, request, seconds=1, connections=clients).require_clean().accepted
            seconds = options.seconds(10, 4)
            load = run_load(web.port, request, seconds=seconds, connections=clients, first=warm + 1).require_clean()
        _check_rows(installation, (warm + load.accepted) * size)
        return load


def _check_rows(installation: Installation, objects: int) -> None:
    """What was accepted is stored: record, event and deliveries of each object."""
    for table, wanted in (("record", objects), ("event", objects), ("delivery", objects * SUBSCRIPTIONS)):
        found = installation.value(f"SELECT count(*) FROM deliveries_{table}")
        if found != wanted:
            raise AssertionError(f"{objects} objects were accepted; {wanted} rows in {table} expected, {found} found")


def _in_process(options: Options, database: str, size: int) -> float:
    with scratch(database) as installation, LedgerReceiver() as receiver:
        plot = plant(installation, receiver, count=SUBSCRIPTIONS)
        return push_in_process(installation, plot, size=size, seconds=options.seconds(8, 3))


def push_in_process(installation: Installation, plot: Plot, *, size: int, seconds: float) -> float:
    """Pushes per second of one process that calls the service itself."""
    command = ["-m", "tests.benchmarks.pushing", plot.store, plot.token, str(size), str(seconds)]
    answer = json.loads(installation.run(*command))
    return float(answer["count"] / answer["seconds"])
