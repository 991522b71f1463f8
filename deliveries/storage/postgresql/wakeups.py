"""Wake-ups on PostgreSQL: NOTIFY and LISTEN."""

from __future__ import annotations

import selectors
from typing import Any

from django.db import connection

from deliveries.storage.sql import execute_plain

CHANNEL = "hookdesk_due"


class Wakeups:
    #: A commit alone does not wake the engines.
    commits_wake = False

    def notify(self) -> None:
        execute_plain(f"NOTIFY {CHANNEL}")

    def make_waiter(self, *, is_standby: bool = False) -> PostgresqlWaiter:
        return PostgresqlWaiter()


class PostgresqlWaiter:
    """Listens on a connection of its own, separate from the engine's statements."""

    def __init__(self) -> None:
        import psycopg

        parameters = connection.get_connection_params()
        parameters = {key: value for key, value in parameters.items() if key not in ("cursor_factory", "context")}
        self._connection: Any = psycopg.connect(**parameters, autocommit=True)
        self._connection.execute(f"LISTEN {CHANNEL}")
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._connection.fileno(), selectors.EVENT_READ)

    def wait(self, timeout: float) -> bool:
        return bool(self._selector.select(timeout)) and self._drain()

    def _drain(self) -> bool:
        # libpq directly: while this thread holds the GIL the engine waits, and psycopg would hold it longer.
        libpq, woken = self._connection.pgconn, False
        libpq.consume_input()
        while libpq.notifies() is not None:
            woken = True
        return woken

    def close(self) -> None:
        self._selector.close()
        self._connection.close()
