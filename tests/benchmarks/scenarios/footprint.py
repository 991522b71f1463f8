"""(f) What a whole installation takes while nothing happens: memory of each process, processor time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.benchmarks.engines import Processes, backends_of, wait_for_engines
from tests.benchmarks.environment import Installation, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.measures import Usage, cpu_of
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.scenarios.throughput import plant
from tests.benchmarks.web import free_port, wait_for_port

SCENARIO = "A whole installation, idle"
TARGET = Target(2, 0.5, " %", is_ceiling=True)
#: Until start-up is over and the first heartbeats are written, in seconds.
SETTLING = 12.0


def run(options: Options) -> Iterator[Figure]:
    for database in options.databases:
        for transport in options.transports:
            yield from _figures(options, database, transport)


def _figures(options: Options, database: str, transport: str) -> Iterator[Figure]:
    with scratch(database, TRANSPORT=transport) as installation, LedgerReceiver() as receiver:
        plant(installation, receiver)
        port = free_port()
        command = ["manage.py", "run", "--no-migrate", "--port", str(port)]
        with Processes(installation, command) as running:
            wait_for_port(running, port)
            engines = set(wait_for_engines(running, 2))
            time.sleep(SETTLING)
            seconds = options.seconds(60, 20)
            own, server = _idle(running, installation, seconds)
            usages = running.usages()
        name = f"{database}, {transport}"
        yield Figure(SCENARIO, f"{name}: processor", own, "% of a core", target=TARGET, note=f"over {seconds:.0f} s")
        if database == "postgresql":
            yield Figure(SCENARIO, f"{name}: processor of the server's backends", server, "% of a core")
        yield from _memory(name, usages, engines)


def _idle(running: Processes, installation: Installation, seconds: float) -> tuple[float, float]:
    """Processor time in percent of a core: the installation's own processes, and PostgreSQL's for it."""
    pids, backends = running.pids, backends_of(installation)
    own, server, started = cpu_of(pids), cpu_of(backends), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    return (cpu_of(pids) - own) / elapsed * 100, (cpu_of(backends) - server) / elapsed * 100


def _memory(name: str, usages: list[Usage], engines: set[int]) -> Iterator[Figure]:
    whole = sum(usage.private_mb for usage in usages)
    note = f"{len(usages)} processes, shared pages counted once"
    details = [(usage.name[-60:], round(usage.resident_mb), round(usage.private_mb)) for usage in usages]
    yield Figure(SCENARIO, f"{name}: memory", whole, "MB", note=note, details={"processes": details})
    largest = max(usage.resident_mb for usage in usages if usage.pid in engines)
    yield Figure(SCENARIO, f"{name}: memory of an engine process", largest, "MB")
    web = [usage.resident_mb for usage in usages if "gunicorn" in usage.name]
    if web:
        yield Figure(SCENARIO, f"{name}: memory of a web process", max(web), "MB")
