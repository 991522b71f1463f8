"""Prepared statements on PostgreSQL, directly through libpq, and conversion of values that plain SQL returns."""

from __future__ import annotations

import re
import select
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.db import connection

from deliveries.storage.arrays import register_array_dumper

# libpq's constants. psycopg.pq has them too, but is imported only where PostgreSQL is used.
_BINARY = 1
_IDLE = 0  # PQTRANS_IDLE
_GOOD = (1, 2)  # PGRES_COMMAND_OK, PGRES_TUPLES_OK


def to_time(value: Any) -> Any:
    """Convert a time from plain SQL: Unix seconds where the query returns them, text on SQLite."""
    if isinstance(value, float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def escaped_like(text: str) -> str:
    """Escape the text for a LIKE pattern, with the backslash as the escape character."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def ascii_lower(text: str) -> str:
    """Lower only ASCII letters, as databases do without a locale."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def to_key(value: Any) -> Any:
    return uuid.UUID(value) if isinstance(value, str) else value


def execute_prepared(
    query: str, values: Sequence[Any], *, meanwhile: Callable[[], None] | None = None
) -> list[tuple[Any, ...]]:
    """Run a prepared statement on PostgreSQL, with server-side parameters in binary format.

    Uses libpq directly: the layers above it cost more than most of our statements. Placeholders are `%s` and nothing
    else; values may be arrays of `deliveries.storage.arrays`. `meanwhile` is called while the server runs the
    statement; it must not raise. Raises Django's errors, as usual.
    """
    from psycopg.adapt import PyFormat, Transformer

    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        transformer = Transformer(raw)
        parameters = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        if _must_begin(raw):
            _checked(raw, raw.pgconn.exec_(b"BEGIN"))
        name = _name_of(raw, query, transformer.types)
        if meanwhile is None:
            answer = raw.pgconn.exec_prepared(name, parameters, transformer.formats, _BINARY)
        else:
            raw.pgconn.send_query_prepared(name, parameters, transformer.formats, _BINARY)
            answer = _answer_after(raw.pgconn, meanwhile)
        result = _checked(raw, answer)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)


def execute_plain(query: str) -> None:
    """Run a statement without values or results on PostgreSQL. If it is the first of a transaction, BEGIN is sent in
    the same round trip. Raises Django's errors."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        begin = "BEGIN;" if _must_begin(raw) else ""
        _checked(raw, raw.pgconn.exec_(f"{begin}{query}".encode()))


def _answer_after(pgconn: Any, meanwhile: Callable[[], None]) -> Any:
    """Call `meanwhile`, then wait for the result of the statement that was sent."""
    is_sending = bool(pgconn.flush())
    meanwhile()
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN | (select.POLLOUT if is_sending else 0))
    results: list[Any] = []
    while True:
        # Wait here: libpq's own wait would keep all other threads from running.
        while is_sending or pgconn.is_busy():
            poll.poll()
            pgconn.consume_input()
            if is_sending and not (is_sending := bool(pgconn.flush())):
                poll.modify(pgconn.socket, select.POLLIN)
        if (result := pgconn.get_result()) is None:
            return results[-1]
        results.append(result)


def _must_begin(raw: Any) -> bool:
    """Whether Django has begun a transaction but BEGIN has not been sent yet."""
    return not raw.autocommit and raw.pgconn.transaction_status == _IDLE


def _name_of(raw: Any, query: str, types: tuple[int, ...] | None) -> bytes:
    """Return the name of the prepared statement, preparing it if necessary. Each combination of types has its own."""
    names: dict[tuple[str, tuple[int, ...] | None], bytes] = raw.prepared_names
    name = names.get((query, types))
    if name is None:
        name = b"hookdesk_%d" % len(names)
        numbers = count(1)
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", query)
        _checked(raw, raw.pgconn.prepare(name, numbered.encode(), types))
        names[query, types] = name
    return name


def _checked(raw: Any, result: Any) -> Any:
    if result.status not in _GOOD:
        from psycopg import OperationalError
        from psycopg.errors import error_from_result

        if raw.closed:
            raise OperationalError(result.error_message.decode(errors="replace"))
        raise error_from_result(result, encoding=raw.info.encoding)
    return result


_wants_indexes = False


def use_indexes_only() -> None:
    """Disable sequential scans in this process, an engine. Its plans are kept for long, and a plan made while tables
    are nearly empty must not stay in use."""
    global _wants_indexes
    _wants_indexes = True
    connection.close()


#: How long a group of pushes waits for a row lock that another transaction holds.
GROUP_LOCK_TIMEOUT = "200ms"


def use_for_groups() -> None:
    """Configure this thread's connection for writing groups of pushes: use indexes, do not wait long for locks."""
    connection.ensure_connection()
    raw = connection.connection
    if not raw.writes_groups:
        raw.execute(f"SET enable_seqscan = off; SET lock_timeout = '{GROUP_LOCK_TIMEOUT}'")
        raw.writes_groups = True


def make_ready(sender: object, connection: Any, **_: object) -> None:
    """Prepare each new connection for `execute_prepared`. Receiver of Django's `connection_created`: settings made
    later, inside a transaction, would be lost if it were rolled back."""
    if connection.vendor != "postgresql":
        return
    raw = connection.connection
    raw.prepared_names = {}
    raw.writes_groups = False
    register_array_dumper(raw)
    # Planning our statements costs more than running them, and PostgreSQL would plan them again each time, because it
    # expects to gain from knowing the array lengths. Other queries of the connection are not prepared.
    # With millions of rows in the tables, its estimates would also make it JIT-compile statements that take a
    # millisecond.
    raw.execute("SET plan_cache_mode = force_generic_plan; SET jit = off")
    if _wants_indexes:
        raw.execute("SET enable_seqscan = off")
