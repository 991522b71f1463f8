"""`make soak`: mixed load at half of capacity for an hour (MINUTES=5 for a look), with kills and outages all the time.

At the end the ledger must be right, and memory, open files and connections must not have grown. Exits 1 if not.
SOAK_SEED chooses another order of events. PostgreSQL and Redis are started here, and stopped.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.installation import Host, Installation, wait_until
from tests.faults.load import Pushers, judge
from tests.faults.servers import PrivatePostgresql, PrivateRedis
from tests.processes import children_of
from tests.receiver import Receiver, answer

THREADS = 4
#: Seconds of pushing as fast as it goes, to learn what half of that is.
CALIBRATION = 15.0
SAMPLE_EVERY = 5.0
#: Seconds between two events that do harm, at least and at most.
PEACE = (8.0, 20.0)
#: What a line fitted through the samples after the warm-up may rise by in the whole time, as a part of its mean: growth
#: that an hour shows, and not what one process more or less makes.
MOST_GROWTH = 0.2
WARM_UP = 0.25


@dataclass
class Samples:
    """What the host's processes use, over time."""

    at: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=lambda: {"memory": [], "files": [], "connections": []})

    def take(self, host: Host, database: PrivatePostgresql) -> None:
        memory = files = 0
        for pid in host.pids():
            with suppress(OSError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                memory += int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
                files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        with suppress(Exception):  # the database may be away; then there is nothing to compare
            count = int(database.value("SELECT count(*) FROM pg_stat_activity WHERE datname = 'hookdesk'"))
            self.at.append(time.monotonic())
            for name, value in (("memory", memory / 1024), ("files", files), ("connections", count)):
                self.values[name].append(value)

    def growth(self, name: str) -> tuple[float, float]:
        """Mean, and what the fitted line rises by from the end of the warm-up to the end."""
        first = int(len(self.at) * WARM_UP)
        at, values = self.at[first:], self.values[name][first:]
        slope = statistics.linear_regression(at, values).slope
        return statistics.fmean(values), slope * (at[-1] - at[0])


@dataclass
class Soak:
    site: Installation
    host: Host
    database: PrivatePostgresql
    broker: PrivateRedis
    receiver: Receiver
    rng: random.Random
    samples: Samples = field(default_factory=Samples)
    events: Counter[str] = field(default_factory=Counter)

    def run(self, seconds: float, pushers: Pushers) -> None:
        """Until `seconds` have passed: samples, and harm at random moments."""
        until, harm_at = time.monotonic() + seconds, time.monotonic() + self.rng.uniform(*PEACE)
        while time.monotonic() < until:
            time.sleep(min(SAMPLE_EVERY, max(0.0, until - time.monotonic())))
            self.samples.take(self.host, self.database)
            if time.monotonic() >= harm_at:
                harm = self.rng.choice(
                    [self.kill_engine, self.kill_web_worker, self.receiver_away, self.restart_database, self.redis_away]
                )
                harm()
                self.events[harm.__name__.replace("_", " ")] += 1
                harm_at = time.monotonic() + self.rng.uniform(*PEACE)

    def kill_engine(self) -> None:
        with suppress(Exception):
            os.kill(self.rng.choice(self.site.engines()), signal.SIGKILL)

    def kill_web_worker(self) -> None:
        with suppress(Exception):
            os.kill(self.rng.choice(children_of(self.host.children()["web"])), signal.SIGKILL)

    def receiver_away(self) -> None:
        self.receiver.script(answer(503))
        time.sleep(5)
        self.receiver.script(answer(200, delay=0.02))

    def restart_database(self) -> None:
        self.database.stop(self.rng.choice(["immediate", "fast"]))
        time.sleep(self.rng.uniform(0, 4))
        self.database.start()
        self.site.reconnect()

    def redis_away(self) -> None:
        self.broker.kill()
        time.sleep(5)
        self.broker.start()


def calibrate(host: Host) -> tuple[float, Pushers]:
    """Events a second when pushing as fast as it goes and delivering them too."""
    begun = time.monotonic()
    with Pushers(lambda: [host], threads=THREADS, pause=0.0) as pushers:
        time.sleep(CALIBRATION)
    host.installation.wait_until_drained(timeout=120)
    return len(pushers.accepted) / (time.monotonic() - begun), pushers


def soak(minutes: float, seed: int) -> list[str]:
    """What was violated; a summary is printed."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hookdesk-soak-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database, broker = PrivatePostgresql(folder), PrivateRedis(folder)
        database.make()
        database.start()
        stack.callback(database.kill_if_running)
        broker.start()
        stack.callback(broker.kill)
        database.execute("CREATE DATABASE hookdesk")
        site = Installation("soak", f"{database.url}/hookdesk", folder, broker.url)
        stack.callback(site.close)
        site.run("manage.py", "migrate", "--verbosity", "0")
        site.make_store()
        receiver = stack.enter_context(Receiver(ledger_file=folder / "ledger"))
        receiver.script(answer(200, delay=0.02))
        # A small pool of connections is full soon; what grows after that is a leak.
        host = site.start_host(ENGINE_PROCESSES="2", WEB_WORKERS="2", ENGINE_CAPACITY="64")
        patience = {"retry_policy": [2] * 60}
        host.subscribe(receiver.url("/plain"), ["load.made"], name="plain", **patience)
        host.subscribe(receiver.url("/ordered"), ["load.made"], name="ordered", ordered=True, **patience)
        site.wait_for_engines(2)
        rate, first = calibrate(host)
        pause = THREADS / rate  # as long again as a push takes
        print(
            f"capacity {rate:.0f} events/s, two deliveries each; {minutes:g} minutes at half of it, seed {seed}",
            flush=True,
        )
        work = Soak(site, host, database, broker, receiver, random.Random(seed))
        document: Callable[[int], dict[str, object]] = lambda number: {"id": str(number % 500), "text": "x" * 300}  # noqa: E731
        with Pushers(lambda: [host], threads=THREADS, pause=pause, document=document) as pushers:
            work.run(minutes * 60, pushers)
        return verdict_on(work, pushers, [*first.accepted.values(), *pushers.accepted.values()], folder / "ledger")


def verdict_on(work: Soak, pushers: Pushers, accepted: list[str], ledger: Path) -> list[str]:
    violated = list(pushers.strange[:5])
    try:
        work.site.reconnect()
        work.site.wait_until_drained(timeout=180)
        wait_until(lambda: work.host.request("GET", "/readyz")[0] == 200, timeout=60, what="ready at the end")
        found = judge(work.site, ledger, accepted)
        print(f"{found}, not answered with 202: {dict(pushers.refused)}, harm: {dict(work.events)}")
        failed = int(work.site.value("SELECT count(*) FROM deliveries_attempt WHERE outcome = 'failed'"))
        explained = found.unknown + found.late + failed
        if found.duplicates > explained:
            violated.append(f"{found.duplicates} requests were repeated, of which {explained} are explained")
    except AssertionError as error:
        violated.append(str(error))
    for name, unit in (("memory", "MB"), ("files", "open"), ("connections", "to the database")):
        mean, growth = work.samples.growth(name)
        shown = " ".join(f"{value:.0f}" for value in work.samples.values[name][:: max(1, len(work.samples.at) // 10)])
        print(f"{name}: {mean:.0f} {unit} on average, {growth:+.1f} over {len(work.samples.at)} samples ({shown})")
        if growth > mean * MOST_GROWTH:
            violated.append(f"{name} grew by {growth:.1f} {unit}, more than {MOST_GROWTH:.0%} of {mean:.0f}")
    return violated


def main() -> int:
    for trouble in (PrivatePostgresql.trouble(), PrivateRedis.trouble()):
        if trouble:
            print(f"make soak needs PostgreSQL and Redis of its own: {trouble}", file=sys.stderr)
            return 2
    violated = soak(float(os.environ.get("MINUTES", "60")), int(os.environ.get("SOAK_SEED", "1")))
    print("\n".join(f"VIOLATED: {one}" for one in violated) or "Nothing was lost, nothing grew.")
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
