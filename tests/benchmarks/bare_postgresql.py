"""The rival of ingest: PostgreSQL inserting the same rows by one prepared statement, driven by its own pgbench.

The statement has all rows of a push in it: record, event and three deliveries for each object, in the same tables
with the same indexes and constraints, committed durably. For a batch the server makes the rows itself, so that
not even their transfer is paid for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.environment import Installation, Plot
from tests.benchmarks.rows import PAYLOAD

_SCRIPT = """\\set first random(1, 1000000000)
WITH g AS MATERIALIZED (
  SELECT gen_random_uuid() AS event_id, 'S' || cast(:first AS text) || '-' || n AS object_id
  FROM generate_series(1, {size}) AS n
), record AS (
  INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)
  SELECT '{store}', 'shipment', object_id, :data, 1, now(), now() FROM g ON CONFLICT DO NOTHING
), event AS (
  INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin, occurred_at,
    created_at)
  SELECT event_id, '{store}', 'shipment.created', NULL, 'shipment', object_id, :data, 'push', now(), now() FROM g
)
INSERT INTO deliveries_delivery (id, event_id, store_id, integration_id, subscription_id, topic, status, "trigger",
  due_at, attempt_count, retry_count, crash_count, revision, is_awaiting_source, last_error, created_at)
SELECT gen_random_uuid(), g.event_id, '{store}', s.integration_id, s.subscription_id, 'shipment.created', 'pending',
  'scheduled', now(), 0, 0, 0, 0, false, '', now()
FROM g, (VALUES {destinations}) AS s(integration_id, subscription_id);
"""


def find_pgbench() -> str | None:
    if found := shutil.which("pgbench"):
        return found
    return next((str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None)


def pushes_per_second(installation: Installation, plot: Plot, *, size: int, clients: int, seconds: float) -> float:
    """Transactions per second, each one push of `size` objects."""
    pgbench = find_pgbench()
    assert pgbench is not None
    destinations = ", ".join(
        f"({plot.first_integration + number}, '{plot.subscription(number)}'::uuid)"
        for number in range(plot.destinations)
    )
    script = installation.folder / f"push-{size}.sql"
    script.write_text(_SCRIPT.format(size=size, store=plot.store, destinations=destinations))
    data = json.dumps({**PAYLOAD, "sent_us": 1234567890123456}, separators=(",", ":"))
    command = [pgbench, "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds)))]
    command += ["-f", str(script), "-D", f"data={data}", installation.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 120)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"pgbench failed: {done.stderr.strip()[-2000:]}")
    return float(found[1])
