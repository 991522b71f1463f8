"""SQLite: one file, one host, one writer at a time."""

from __future__ import annotations

from django.db import connection

from deliveries.storage.sqlite.claims import Claims
from deliveries.storage.sqlite.expressions import Expressions
from deliveries.storage.sqlite.pushes import Pushes
from deliveries.storage.sqlite.reservations import Reservations
from deliveries.storage.sqlite.results import Results
from deliveries.storage.sqlite.search import Search
from deliveries.storage.sqlite.wakeups import Wakeups


class SQLite(Claims, Reservations, Pushes, Results, Search, Wakeups, Expressions):
    def database_file(self) -> str | None:
        return str(connection.settings_dict["NAME"])
