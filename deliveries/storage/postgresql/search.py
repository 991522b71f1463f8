"""Search texts on PostgreSQL, where the query's conditions use the index (pg_trgm) directly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, QuerySet

from deliveries.storage.rows.search import Needed, TookTooLong
from deliveries.storage.text_index import MISSING_ON_POSTGRESQL


class Search:
    def missing_text_index(self, table: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid", [f"{table}_text"]
            )
            return "" if cursor.fetchone() else MISSING_ON_POSTGRESQL

    def indexed_rows(self, rows: QuerySet[Any, Any], needed: Needed, limit: int) -> list[Any]:
        with self._preferred_indexes():
            # Unordered, the query stops at the limit; ordered by id, the planner might walk the whole table. Only if
            # the limit is reached does the order matter.
            found = list(rows.order_by()[:limit])
            if len(found) == limit:
                found = list(rows.order_by(-(F("id") + 0))[:limit])
            return sorted(found, reverse=True)

    @contextmanager
    def _preferred_indexes(self) -> Iterator[None]:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            yield
            cursor.execute("SET LOCAL enable_seqscan TO DEFAULT")

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
                yield
                cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
        except OperationalError as error:
            if type(error.__cause__).__name__ != "QueryCanceled":
                raise
            raise TookTooLong from error
