"""Prepared statements for PostgreSQL, directly through libpq; and conversion of values returned by plain SQL."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.db import connection

from deliveries.storage.arrays import register_array_dumper

# libpq's numbers (psycopg.pq), which is imported only where PostgreSQL is used.
_BINARY = 1
_IDLE = 0  # PQTRANS_IDLE
_GOOD = (1, 2)  # PGRES_COMMAND_OK, PGRES_TUPLES_OK


def to_time(value: Any) -> Any:
    """A time from plain SQL: Unix seconds if requested, text on SQLite."""
    if isinstance(value, float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def escaped_like(text: str) -> str:
    """The text as a pattern of LIKE finds it, with the backslash as the escape character."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def ascii_lower(text: str) -> str:
    """In lower case as far as it is ASCII, as databases do it without a language."""
    return "".join(character.lower() if character.isascii() else character for character in text)


def to_key(value: Any) -> Any:
    return uuid.UUID(value) if isinstance(value, str) else value


def execute_prepared(query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement on PostgreSQL with values bound by the server, its plan kept, and all values in binary.

    Directly through libpq: the layers above it cost more than most of our statements. Placeholders are `%s` and nothing
    else; values may be arrays of `deliveries.storage.arrays`. Errors are Django's, as usual.
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
        result = _checked(raw, raw.pgconn.exec_prepared(name, parameters, transformer.formats, _BINARY))
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)


def execute_plain(query: str) -> None:
    """Run a statement without values or results on PostgreSQL, in one go with what begins a transaction if it is the
    first one of it. Errors are Django's."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = connection.connection
        begin = "BEGIN;" if _must_begin(raw) else ""
        _checked(raw, raw.pgconn.exec_(f"{begin}{query}".encode()))


def _must_begin(raw: Any) -> bool:
    """Return whether Django has started a transaction of which nothing has been sent yet."""
    return not raw.autocommit and raw.pgconn.transaction_status == _IDLE


def _name_of(raw: Any, query: str, types: tuple[int, ...] | None) -> bytes:
    """Of the prepared statement. The same query with values of other types is another one."""
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
    """From now on in this process, the engine's. Its plans are kept, and must not be those for the empty tables of a
    first day."""
    global _wants_indexes
    _wants_indexes = True
    connection.close()


#: How long a group of pushes waits for a lock that somebody else holds on what one of them writes.
GROUP_LOCK_TIMEOUT = "200ms"


def use_for_groups() -> None:
    """Make this thread's connection one that only writes groups of pushes: by indexes, and without long waits."""
    connection.ensure_connection()
    raw = connection.connection
    if not raw.writes_groups:
        raw.execute(f"SET enable_seqscan = off; SET lock_timeout = '{GROUP_LOCK_TIMEOUT}'")
        raw.writes_groups = True


def make_ready(sender: object, connection: Any, **_: object) -> None:
    """Each new connection for `execute_prepared`. Receiver of Django's `connection_created`: later, a transaction that
    is rolled back would take the settings with it."""
    if connection.vendor != "postgresql":
        return
    raw = connection.connection
    raw.prepared_names = {}
    raw.writes_groups = False
    register_array_dumper(raw)
    # Planning our statements costs more than running them, and PostgreSQL would replan each time, because it expects
    # to gain from knowing the array lengths. Other queries of the connection are not prepared.
    # With millions of rows behind, its estimates for them also make it compile (JIT) what runs for a millisecond.
    raw.execute("SET plan_cache_mode = force_generic_plan; SET jit = off")
    if _wants_indexes:
        raw.execute("SET enable_seqscan = off")
