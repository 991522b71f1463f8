"""PostgreSQL: many engines and web processes at once, on any number of hosts."""

from __future__ import annotations

from deliveries.storage.postgresql.claims import Claims
from deliveries.storage.postgresql.expressions import Expressions
from deliveries.storage.postgresql.pushes import Pushes
from deliveries.storage.postgresql.reservations import Reservations
from deliveries.storage.postgresql.results import Results
from deliveries.storage.postgresql.search import Search
from deliveries.storage.postgresql.wakeups import Wakeups


class PostgreSQL(Claims, Reservations, Pushes, Results, Search, Wakeups, Expressions):
    def database_file(self) -> str | None:
        return None
