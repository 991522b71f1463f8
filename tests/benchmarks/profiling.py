"""`python -m tests.benchmarks.profiling DATABASE TRANSPORT [COUNT]`: where one engine process spends its time.

Prints cProfile's list of one engine that works off a queue, and how long it waited for the database. The profiler
itself costs about as much again: read the shares, not the seconds.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import threading
import time
from pathlib import Path

from tests.benchmarks.environment import remove_templates, scratch
from tests.benchmarks.receiver import LedgerReceiver
from tests.benchmarks.rows import Loader, webhook_ids
from tests.benchmarks.scenarios.throughput import plant

INSIDE = "HOOKDESK_PROFILE"


def outside(database: str, transport: str, count: int) -> None:
    variables = {"TRANSPORT": transport, "ENGINE_PROCESSES": "1"}
    with scratch(database, **variables) as installation, LedgerReceiver() as receiver:
        loader = Loader(installation, plant(installation, receiver))
        loader.load_due(1, count)
        loader.settle_down()
        file = installation.folder / "profile"
        installation.run("-m", "tests.benchmarks.profiling", **{INSIDE: str(file)})
        receiver.check(webhook_ids(range(1, count + 1)))
        print(f"{count / receiver.seconds():.0f} deliveries/s under the profiler, by one engine")
        for order in ("tottime", "cumulative"):
            pstats.Stats(str(file)).sort_stats(order).print_stats(45)
    remove_templates()


def inside(file: Path) -> None:
    """An engine that leaves once nothing is due."""
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from deliveries.dispatch.engine import DeliveryEngine
    from deliveries.models import Delivery
    from deliveries.runtime.registry import register, stopping

    def watch() -> None:
        while Delivery.objects.filter(due_at__isnull=False).exists():
            time.sleep(0.3)
        connection.close()
        stopping.set()

    slot = register(timezone.now())
    assert slot is not None
    threading.Thread(target=watch, daemon=True).start()
    profile = cProfile.Profile()
    profile.runcall(DeliveryEngine(slot).run, 300)
    profile.dump_stats(file)


def main() -> None:
    if INSIDE in os.environ:
        inside(Path(os.environ[INSIDE]))
    else:
        outside(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20_000)


if __name__ == "__main__":
    main()
