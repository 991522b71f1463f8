"""The product's worker processes, started as the product starts them, and what a drained queue cost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.benchmarks.environment import Installation
from tests.benchmarks.measures import Usage, cpu_of, family_of, usage_of
from tests.benchmarks.receiver import LedgerError, LedgerReceiver


class Stuck(RuntimeError):
    """Deliveries did not get through in time."""


class Processes:
    """Something of the product that runs in a process group of its own; stopped on leaving the context."""

    def __init__(self, installation: Installation, command: Sequence[str], **variables: str) -> None:
        self.installation = installation
        self._command = command
        self._variables = variables

    def __enter__(self) -> Processes:
        self.process = self.installation.start(*self._command, **self._variables)
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM to the main process, as the product wants it; what is left after 25 s is killed."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(25)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def pids(self) -> list[int]:
        return family_of(self.process.pid)

    def usages(self, pids: Iterable[int] | None = None) -> list[Usage]:
        return [usage for pid in (self.pids if pids is None else pids) if (usage := usage_of(pid))]

    def require_alive(self) -> None:
        if self.process.poll() is not None:
            raise RuntimeError(f"The process ended by itself: {self.installation.last_words()}")


def worker(installation: Installation, *, transport: str, processes: int = 2, capacity: int = 0) -> Processes:
    """`manage.py qcluster` with so many engines; `capacity` 0 is the product's default."""
    variables = {"TRANSPORT": transport, "ENGINE_PROCESSES": str(processes)}
    if capacity:
        variables["ENGINE_CAPACITY"] = str(capacity)
    return Processes(installation, ["manage.py", "qcluster"], **variables)


def wait_for_engines(running: Processes, count: int, *, timeout: float = 30.0) -> list[int]:
    """The process ids of the engines, once all of them have taken their slots."""
    deadline = time.monotonic() + timeout
    while True:
        pids = [row[0] for row in running.installation.rows("SELECT pid FROM deliveries_engine ORDER BY slot")]
        if len(pids) >= count:
            return pids
        running.require_alive()
        if time.monotonic() > deadline:
            raise Stuck(f"Only {len(pids)} of {count} engines started. {running.installation.last_words()}")
        time.sleep(0.1)


@dataclass(slots=True)
class Drain:
    """A queue that was worked off. `seconds` from the first request at the receiver to the last."""

    count: int
    seconds: float
    engines: list[Usage] = field(default_factory=list)
    engine_cpu: float = 0.0
    database_cpu: float = 0.0
    most_in_flight: int = 0

    @property
    def rate(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0

    @property
    def peak_mb(self) -> float:
        return max((usage.peak_mb for usage in self.engines), default=0.0)

    @property
    def cpu_microseconds(self) -> float:
        """Processor time per delivery of engines and database together, in µs."""
        return (self.engine_cpu + self.database_cpu) / self.count * 1e6 if self.count else 0.0


def drain(running: Processes, receiver: LedgerReceiver, count: int, *, timeout: float, engines: int = 2) -> Drain:
    """Wait until the receiver has `count` requests more than now, and the database knows it. Raises Stuck."""
    installation = running.installation
    start = receiver.count
    pids = wait_for_engines(running, engines)
    backends = backends_of(installation)
    cpu = cpu_of(pids), cpu_of(backends)
    wait_for_count(running, receiver, start + count, timeout=timeout)
    query = "SELECT count(*) FROM deliveries_delivery WHERE due_at IS NOT NULL"
    if not installation.wait_for(query, 0, timeout=30):
        raise Stuck(f"{installation.value(query)} deliveries were received but are not recorded as finished.")
    drained = Drain(count, receiver.seconds(start), running.usages(pids))
    drained.engine_cpu = cpu_of(pids) - cpu[0]
    drained.database_cpu = cpu_of(backends) - cpu[1]
    drained.most_in_flight = receiver.head.most_in_flight
    return drained


def wait_for_count(running: Processes, receiver: LedgerReceiver, count: int, *, timeout: float) -> None:
    """Raises Stuck when the receiver has had nothing new for `timeout` seconds before it has `count`."""
    seen, since = receiver.count, time.monotonic()
    while seen < count:
        time.sleep(0.02)
        running.require_alive()
        if (now := receiver.count) != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > timeout:
            words = running.installation.last_words()
            raise Stuck(f"The receiver has {seen} of {count}, and nothing new came for {timeout:.0f} s. {words}")


def backends_of(installation: Installation) -> list[int]:
    """PostgreSQL's processes for this database but ours; none where the server is on another machine."""
    if installation.vendor != "postgresql":
        return []
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [row[0] for row in installation.rows(query)]


def check_against_database(installation: Installation, receivers: Sequence[LedgerReceiver]) -> int:
    """Each delivery that counts as succeeded was received once, and nothing else was. Returns how many."""
    # Those that were loaded as finished began and ended in one moment; one of ours may be claimed in the microsecond in
    # which it was planned, but does not end in it.
    query = "SELECT id FROM deliveries_delivery WHERE status = 'succeeded' AND finished_at > created_at"
    expected = {f"msg_{str(row[0]).replace('-', '')}" for row in installation.rows(query)}
    seen: set[str] = set()
    for receiver in receivers:
        found = {entry.webhook_id for entry in receiver.entries()}
        if found & seen or len(found) != receiver.count:
            raise LedgerError("a delivery reached two receivers, or one twice")
        seen |= found
    if seen != expected:
        lost, strange = expected - seen, seen - expected
        raise LedgerError(f"{len(lost)} deliveries count as succeeded but never came, {len(strange)} came but do not")
    return len(expected)
