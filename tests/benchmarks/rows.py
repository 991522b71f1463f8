"""Loading millions of rows fast: each table by one INSERT … SELECT per chunk, made inside the database.

Ids are made from serial numbers, in order, as version 7 UUIDs are: what should be on the wire is known without a
query. Constraints and indexes stay, so that what is loaded is what ingest would have written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks.environment import Installation, Plot

CHUNK = 100_000
_EVENT_PREFIX = "0190e000-0000-7000-8000-"
_DELIVERY_PREFIX = "0190d000-0000-7000-8000-"
_ATTEMPT_PREFIX = "0190a000-0000-7000-8000-"

#: A shipment of some 500 bytes, much like the ones in the documentation of push APIs.
PAYLOAD = {
    "id": "S000000",
    "order_id": "R154085346",
    "email": "spree@example.com",
    "cost": 5,
    "status": "ready",
    "stock_location": "default",
    "shipping_method": "UPS Ground (USD)",
    "tracking": "12345678",
    "updated_at": "2026-07-23T10:10:10Z",
    "shipping_address": {
        "firstname": "Joe", "lastname": "Smith", "address1": "1234 Awesome Street", "city": "Hollywood",
        "state": "California", "country": "US", "zipcode": "90210", "phone": "0000000000",
    },
    "items": [{"name": "Spree T-Shirt", "product_id": "SPREE-T-SHIRT", "quantity": 1, "price": 30.0}],
}  # fmt: skip
DATA = json.dumps(PAYLOAD, separators=(",", ":"))


def webhook_id(number: int) -> str:
    """What the delivery with this serial number has on the wire."""
    return f"msg_{_DELIVERY_PREFIX.replace('-', '')}{number:012x}"


def webhook_ids(numbers: Iterable[int]) -> set[str]:
    return {webhook_id(number) for number in numbers}


@dataclass(frozen=True, slots=True)
class Loader:
    """Writes rows for the destinations of a plot in turn."""

    installation: Installation
    plot: Plot

    def load_due(self, first: int, count: int) -> float:
        """Due deliveries numbered from `first`, one event each. Returns how many seconds it took."""
        return self._load(first, count, is_finished=False)

    def load_finished(self, first: int, count: int) -> float:
        """The same, delivered long ago, each with its attempt. Returns how many seconds it took."""
        return self._load(first, count, is_finished=True)

    def _load(self, first: int, count: int, *, is_finished: bool) -> float:
        started = time.monotonic()
        connection = self.installation.connection
        if self.installation.vendor == "postgresql":
            # Rows that belong together come together here, so the look-up of each foreign key would only cost.
            connection.execute("SET session_replication_role = replica")
        else:
            connection.execute("PRAGMA synchronous = OFF")
        for start in range(first, first + count, CHUNK):
            end = min(start + CHUNK, first + count)
            connection.execute("BEGIN")
            connection.execute(self._events(start, end))
            connection.execute(self._deliveries(start, end, is_finished=is_finished))
            if is_finished:
                connection.execute(self._attempts(start, end))
            connection.execute("COMMIT")
        if self.installation.vendor == "postgresql":
            connection.execute("SET session_replication_role = origin")
        return time.monotonic() - started

    def settle_down(self) -> None:
        """Statistics and the visibility map, as autovacuum would have made them by now; then a checkpoint."""
        connection = self.installation.connection
        if self.installation.vendor == "postgresql":
            for table in ("event", "delivery", "attempt"):
                connection.execute(f"VACUUM (ANALYZE) deliveries_{table}")
            connection.execute("CHECKPOINT")
        else:
            connection.execute("ANALYZE")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # --- SQL of either database ------------------------------------------------------------------------------

    @property
    def _is_postgresql(self) -> bool:
        return self.installation.vendor == "postgresql"

    def _series(self, start: int, end: int) -> str:
        if self._is_postgresql:
            return f"FROM generate_series({start}, {end - 1}) AS s(n)"
        return (
            f"FROM (WITH RECURSIVE s(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM s WHERE n < {end - 1})"
            " SELECT n FROM s) AS s"
        )

    def _key(self, prefix: str) -> str:
        if self._is_postgresql:
            return f"('{prefix}' || lpad(to_hex(n), 12, '0'))::uuid"
        return f"('{prefix.replace('-', '')}' || printf('%012x', n))"

    def _uuid(self, text: str) -> str:
        return f"'{text}'::uuid" if self._is_postgresql else f"'{text.replace('-', '')}'"

    def _time(self, *, days_ago: int = 0) -> str:
        if self._is_postgresql:
            return f"(now() - interval '{days_ago} days')"
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{days_ago} days')"

    def _bytes(self, text: str) -> str:
        return f"'\\x{text.encode().hex()}'::bytea" if self._is_postgresql else f"x'{text.encode().hex()}'"

    def _subscription(self) -> str:
        position = f"(n % {self.plot.destinations})"
        prefix = "01900000-0000-7000-8000-"
        if self._is_postgresql:
            return f"('{prefix}' || lpad(to_hex{position}, 12, '0'))::uuid"
        return f"('{prefix.replace('-', '')}' || printf('%012x', {position}))"

    def _events(self, start: int, end: int) -> str:
        now = self._time()
        return (
            "INSERT INTO deliveries_event (id, store_id, topic, intent, object_type, object_id, data, origin,"
            f" occurred_at, created_at) SELECT {self._key(_EVENT_PREFIX)}, {self._uuid(self.plot.store)},"
            f" 'shipment.created', NULL, 'shipment', 'S' || n, '{DATA}', 'push', {now}, {now}"
            f" {self._series(start, end)}"
        )

    def _deliveries(self, start: int, end: int, *, is_finished: bool) -> str:
        now, then = self._time(), self._time(days_ago=7)
        if is_finished:
            state = f"'succeeded', NULL, 1, {then}, 200, {then}, {then}"
        else:
            state = f"'pending', {now}, 0, NULL, NULL, {now}, NULL"
        return (
            "INSERT INTO deliveries_delivery (id, event_id, store_id, integration_id, subscription_id, topic,"
            " status, due_at, attempt_count, first_sent_at, last_status, created_at, finished_at,"
            ' "trigger", retry_count, crash_count, revision, is_awaiting_source, last_error)'
            f" SELECT {self._key(_DELIVERY_PREFIX)}, {self._key(_EVENT_PREFIX)}, {self._uuid(self.plot.store)},"
            f" {self.plot.first_integration} + n % {self.plot.destinations}, {self._subscription()},"
            f" 'shipment.created', {state}, 'scheduled', 0, 0, 0, false, '' {self._series(start, end)}"
        )

    def _attempts(self, start: int, end: int) -> str:
        then = self._time(days_ago=7)
        headers = '[["Content-Type", "application/json"]]'
        return (
            'INSERT INTO deliveries_attempt (id, delivery_id, number, "trigger", revision, outcome, started_at,'
            " duration_ms, method, url, request_headers, request_body, is_body_encrypted, response_status,"
            " response_headers, response_body, is_response_truncated, error_kind, error_message, summary)"
            f" SELECT {self._key(_ATTEMPT_PREFIX)}, {self._key(_DELIVERY_PREFIX)}, 1, 'scheduled', 0, 'succeeded',"
            f" {then}, 3, 'POST', 'http://127.0.0.1:9/i/1', '{headers}', {self._bytes(DATA)}, false, 200,"
            f" '{headers}', {self._bytes('{}')}, false, '', '', '' {self._series(start, end)}"
        )
