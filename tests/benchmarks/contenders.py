"""Who takes part in `live`: Hookdesk as `manage.py run` starts it, and its rivals, measured by the same hand."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.engines import Processes, Stuck, backends_of, wait_for_engines
from tests.benchmarks.environment import Installation, Plot
from tests.benchmarks.loadgen import NOW, SERIAL, Load, finish_load, start_load, write_request
from tests.benchmarks.measures import family_of, processor_times
from tests.benchmarks.receiver import Entry, LedgerError, LedgerReceiver
from tests.benchmarks.web import free_port, headers_of, wait_for_port

#: What is delivered; events of any other topic are only stored.
TOPIC = "live.moved"
#: How often processes are looked at, in seconds: those that come or go in between are counted in part.
POLL_SECONDS = 1.0


@dataclass
class Contender:
    """Something that takes events and delivers them. `kinds` maps its processes to what kind each of them is.

    `unfinished`, `stored` and `attempts` are queries: how many deliveries are not recorded as finished, how many events
    and attempts there are.
    """

    name: str
    installation: Installation
    receiver: LedgerReceiver
    port: int
    kinds: Callable[[], dict[int, str]]
    unfinished: str
    stored: str
    attempts: str
    #: Deliveries of each event.
    subscriptions: int = 1
    accepted: int = 0


@dataclass
class Window:
    """A stretch of load, until what it caused was delivered and recorded. `cpu_us`: per event, by kind of process."""

    load: Load
    entries: list[Entry]
    subscriptions: int = 1
    doubled: int = 0
    cpu_us: dict[str, float] = field(default_factory=dict)

    @property
    def latencies(self) -> list[float]:
        """From when the event was due to be sent until it came in, in ms."""
        return [(entry.received_us - entry.sent_us) / 1000 for entry in self.entries]

    @property
    def rate(self) -> float:
        """Events accepted and delivered per second: from the first event sent to the last delivery received."""
        first = min(entry.sent_us for entry in self.entries)
        last = max(entry.received_us for entry in self.entries)
        return self.load.accepted / (last - first) * 1e6

    @property
    def whole_cpu_us(self) -> float:
        return sum(time for kind, time in self.cpu_us.items() if kind != "server")


@contextmanager
def hookdesk(installation: Installation, receiver: LedgerReceiver, plot: Plot) -> Iterator[Contender]:
    """`manage.py run` as the README starts it."""
    port = free_port()
    with Processes(installation, ["manage.py", "run", "--no-migrate", "--port", str(port)]) as running:
        wait_for_port(running, port)
        wait_for_engines(running, 2)

        def kinds() -> dict[int, str]:
            running.require_alive()
            return kinds_of(running, port)

        count = "SELECT count(*) FROM deliveries_"
        unfinished = f"{count}delivery WHERE due_at IS NOT NULL"
        yield Contender(
            "Hookdesk",
            installation,
            receiver,
            port,
            kinds,
            unfinished,
            f"{count}event",
            f"{count}attempt",
            subscriptions=plot.destinations,
        )


def kinds_of(running: Processes, port: int) -> dict[int, str]:
    """Of each process of an installation whether it is of the kind web (it listens), engine, queue or postgresql."""
    installation = running.installation
    engines = {row[0] for row in installation.rows("SELECT pid FROM deliveries_engine")}
    sockets = _listening(port)
    kinds = {}
    for pid in family_of(running.process.pid):
        kinds[pid] = "engine" if pid in engines else "web" if _holds(pid, sockets) else "queue"
    return {**kinds, **dict.fromkeys(backends_of(installation), "postgresql"), **_server_processes(installation)}


def _server_processes(installation: Installation) -> dict[int, str]:
    """PostgreSQL's writers, which serve all databases alike: listed, never added to a sum."""
    if installation.vendor != "postgresql":
        return {}
    rows = installation.rows("SELECT pid FROM pg_stat_activity WHERE datname IS NULL")
    return dict.fromkeys((row[0] for row in rows), "server")


def _listening(port: int) -> set[str]:
    """The sockets that listen on this port, as /proc names them."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(f"socket:[{fields[9]}]")
    return found


def _holds(pid: int, sockets: set[str]) -> bool:
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") in sockets:
                    return True
    return False


class ProcessorMeter:
    """Processor seconds by kind of process since it was made. `look` now and then, so that none is missed."""

    def __init__(self, kinds: Callable[[], dict[int, str]]) -> None:
        self._find, self._kinds = kinds, kinds()
        self._before = processor_times(self._kinds)
        self._now = dict(self._before)

    def look(self) -> None:
        self._kinds |= self._find()
        self._now |= processor_times(self._kinds)

    @property
    def seconds(self) -> dict[str, float]:
        spent: dict[str, float] = defaultdict(float)
        for pid, seconds in self._now.items():
            spent[self._kinds[pid]] += seconds - self._before.get(pid, 0.0)
        return dict(spent)


def event_of(size: int) -> dict[str, Any]:
    """An event whose request has a body of so many bytes, and at least some 250; a filter may look at its status."""
    data = {"serial": SERIAL, "sent_us": NOW, "order_id": "R154085346", "status": "ready", "cost": 5}
    data["address"] = {"name": "Joe Smith", "street": "1234 Awesome Street", "city": "Hollywood", "zip": "90210"}
    # The time is written without the quotes that hold its place here.
    length = len(json.dumps({"topic": TOPIC, "data": {**data, "note": ""}}, separators=(",", ":"))) - 2
    return {"topic": TOPIC, "data": {**data, "note": "x" * max(0, size - length)}}


def request_of(installation: Installation, plot: Plot, *, size: int, topic: str = TOPIC) -> Path:
    document = {**event_of(size), "topic": topic}
    return write_request(installation.folder, "/api/v1/events", document, headers_of(plot))


def run_window(
    contender: Contender, request: Path, *, seconds: float, clients: int, rate: float = 0, is_stored_only: bool = False
) -> Window:
    """Load, then waiting until everything is delivered and recorded, then the ledger. Raises LedgerError and Stuck."""
    start, first = contender.receiver.count, contender.accepted + 1
    meter = ProcessorMeter(contender.kinds)
    process = start_load(contender.port, request, seconds=seconds, connections=clients, rate=rate, first=first)
    while process.poll() is None:
        time.sleep(POLL_SECONDS / 4 if seconds < POLL_SECONDS else POLL_SECONDS)
        meter.look()
    load = finish_load(process, seconds).require_clean()
    contender.accepted += load.accepted
    deliveries = 0 if is_stored_only else load.accepted * contender.subscriptions
    _wait_until_recorded(contender, start + deliveries, meter)
    window = Window(load, list(contender.receiver.entries(start)), contender.subscriptions)
    window.cpu_us = {kind: spent / load.accepted * 1e6 for kind, spent in meter.seconds.items()}
    window.doubled = _check(contender, window, first, load.accepted if deliveries else 0)
    return window


def _wait_until_recorded(contender: Contender, count: int, meter: ProcessorMeter) -> None:
    seen, since = -1, time.monotonic()
    while contender.receiver.count < count or contender.installation.value(contender.unfinished):
        time.sleep(0.05)
        if contender.receiver.count != seen:
            seen, since = contender.receiver.count, time.monotonic()
        elif time.monotonic() - since > 30:
            left = contender.installation.value(contender.unfinished)
            words = contender.installation.last_words()
            raise Stuck(f"The receiver has {seen} of {count}, {left} deliveries are not finished. {words}")
    meter.look()


def _check(contender: Contender, window: Window, first: int, events: int) -> int:
    """Each accepted event came in once per subscription or more, and is stored. Returns how many came too often."""
    counted = Counter(entry.serial for entry in window.entries)
    wanted = range(first, first + events)
    lost = [serial for serial in wanted if counted[serial] < contender.subscriptions]
    strange = [serial for serial in counted if serial not in wanted]
    if lost or strange:
        raise LedgerError(f"{len(lost)} accepted events were not delivered, {len(strange)} came that nobody sent")
    if (stored := contender.installation.value(contender.stored)) != contender.accepted:
        raise LedgerError(f"{contender.accepted} events were accepted, {stored} are stored")
    if (recorded := contender.installation.value(contender.attempts)) != contender.receiver.count:
        raise LedgerError(f"{contender.receiver.count} requests were received, {recorded} attempts are recorded")
    return len(window.entries) - events * contender.subscriptions
