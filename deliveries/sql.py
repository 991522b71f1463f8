"""Values for plain SQL on either database: SQLite keeps times and uuids as text, PostgreSQL takes arrays."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from deliveries.arrays import teach_arrays


def as_time(value: datetime | None) -> Any:
    return value if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(value)


def as_key(value: uuid.UUID | None) -> Any:
    return value if connection.vendor == "postgresql" or value is None else value.hex


def to_time(value: Any) -> Any:
    """A time as plain SQL gives it: unix seconds where we ask for them, text from SQLite."""
    if isinstance(value, float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def to_key(value: Any) -> Any:
    return uuid.UUID(value) if isinstance(value, str) else value


def execute_prepared(query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement on PostgreSQL with values bound by the server and its plan kept.

    Django's own cursor binds on the client, which is dear for long values. Errors are Django's, as usual. Values may
    be arrays of `deliveries.arrays`; those that come back travel in binary too.
    """
    from psycopg import Cursor

    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = Cursor(connection.connection)
        cursor.execute(query, values, prepare=True, binary=True)
        return cursor.fetchall() if cursor.description is not None else []


_wants_indexes = False


def use_indexes_only() -> None:
    """From now on in this process, the engine's. Its plans are kept, and must not be those for the empty tables of a
    first day."""
    global _wants_indexes
    _wants_indexes = True
    connection.close()


def make_ready(sender: object, connection: Any, **_: object) -> None:
    """Each new connection for `execute_prepared`. Receiver of Django's `connection_created`: later, a transaction that
    is rolled back would take the settings with it."""
    if connection.vendor != "postgresql":
        return
    raw = connection.connection
    raw.prepare_threshold = 5  # Django sets None, with which psycopg prepares nothing, also where it is told to
    teach_arrays(raw)
    # Planning our statements costs more than running them, and PostgreSQL would plan anew each time, because it thinks
    # that it gains by knowing how long the arrays are. Other queries of the connection are not prepared.
    raw.execute("SET plan_cache_mode = force_generic_plan")
    if _wants_indexes:
        raw.execute("SET enable_seqscan = off")
