"""(f) What a whole installation takes while nothing happens: memory of each process, processor time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator

from tests.benchmarks.contenders import kinds_of
from tests.benchmarks.engines import Processes, backends_of, wait_for_engines
from tests.benchmarks.environment import Installation, scratch
from tests.benchmarks.figures import Figure, Target
from tests.benchmarks.measures import Usage, cpu_of
from tests.benchmarks.options import Options
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.scenarios.throughput import plant
from tests.benchmarks.web import free_port, wait_for_port

SCENARIO = "A whole installation, idle"
TARGET = Target(0.7, 0.5, " %", is_ceiling=True)
MEMORY = Target(220, 180, " MB", is_ceiling=True)
#: Until start-up is over, in seconds: the scheduled tasks run for the first time half a minute after the start.
SETTLING = 40.0


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
            wait_for_engines(running, 2)
            time.sleep(SETTLING)
            seconds = options.seconds(60, 30)
            own, server = _idle(running, installation, seconds)
            kinds, usages = kinds_of(running, port), running.usages()
        name = f"{database}, {transport}"
        note = f"over {seconds:.0f} s"
        if database == "postgresql":
            note += f": its own processes {own:.2f}, PostgreSQL's backends for it {server:.2f}"
        yield Figure(SCENARIO, f"{name}: processor", own + server, "% of a core", target=TARGET, note=note)
        yield from _memory(name, usages, kinds)


def _idle(running: Processes, installation: Installation, seconds: float) -> tuple[float, float]:
    """Processor time in percent of a core: the installation's own processes, and PostgreSQL's for it."""
    pids, backends = running.pids, backends_of(installation)
    own, server, started = cpu_of(pids), cpu_of(backends), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - started
    return (cpu_of(pids) - own) / elapsed * 100, (cpu_of(backends) - server) / elapsed * 100


def _memory(name: str, usages: list[Usage], kinds: dict[int, str]) -> Iterator[Figure]:
    whole, shares = sum(usage.private_mb for usage in usages), defaultdict[str, float](float)
    for usage in usages:
        shares[kinds[usage.pid]] += usage.private_mb
    parts = ", ".join(f"{kind} {share:.0f}" for kind, share in sorted(shares.items()))
    note = f"{len(usages)} processes, shared pages counted once: {parts}"
    details = [
        (kinds[usage.pid], usage.name[-60:], round(usage.resident_mb), round(usage.private_mb, 1)) for usage in usages
    ]
    yield Figure(SCENARIO, f"{name}: memory", whole, "MB", target=MEMORY, note=note, details={"processes": details})
    for kind in ("engine", "web"):
        largest = max((usage.resident_mb for usage in usages if kinds[usage.pid] == kind), default=0.0)
        yield Figure(SCENARIO, f"{name}: memory of the largest {kind} process, with shared pages", largest, "MB")
