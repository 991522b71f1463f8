"""Search texts on SQLite: FTS5 finds candidates, newest first, and the query's conditions filter them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import OperationalError, connection
from django.db.models import QuerySet

from deliveries.storage.rows.search import Needed, TookTooLong
from deliveries.storage.text_index import MISSING_ON_SQLITE

#: Candidates of the first batch, and the most of one batch; limited by SQLite's maximum number of parameters.
FIRST_CANDIDATES: Final = 500
MAX_CANDIDATES: Final = 20_000
#: Up to this many characters, all trigrams of a text are looked up.
SHORT_TEXT: Final = 8
#: Instructions of SQLite's virtual machine between two checks of the clock.
INSTRUCTIONS: Final = 20_000


class Search:
    def missing_text_index(self, table: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = %s", [f"{table}_fts"])
            return "" if cursor.fetchone() else MISSING_ON_SQLITE

    def indexed_rows(self, rows: QuerySet[Any, Any], needed: Needed, limit: int) -> list[Any]:
        query = " AND ".join(_any_of(options) for options in needed)
        table = f"{rows.model._meta.db_table}_fts"
        found: list[Any] = []
        before, size = 2**63 - 1, FIRST_CANDIDATES
        while len(found) < limit:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT rowid FROM {table} WHERE {table} MATCH %s AND rowid < %s ORDER BY rowid DESC LIMIT %s",
                    [query, before, size],
                )
                ids = [key for (key,) in cursor.fetchall()]
            if ids:
                found += rows.filter(id__in=ids).order_by("-id")[: limit - len(found)]
            if len(ids) < size:
                break
            before, size = ids[-1], min(size * 4, MAX_CANDIDATES)
        return found

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        connection.ensure_connection()
        until = time.monotonic() + seconds
        connection.connection.set_progress_handler(lambda: time.monotonic() > until, INSTRUCTIONS)
        try:
            yield
        except OperationalError as error:
            if "interrupted" not in str(error):
                raise
            raise TookTooLong from error
        finally:
            connection.connection.set_progress_handler(None, 0)


def _any_of(options: Sequence[Sequence[str]]) -> str:
    return f"({' OR '.join(f'({_all_of(parts)})' for parts in dict.fromkeys(map(tuple, options)))})"


def _all_of(parts: Sequence[str]) -> str:
    return " AND ".join(f'"{text}"' for text in dict.fromkeys(_trigrams(parts)))


def _trigrams(parts: Sequence[str]) -> Iterator[str]:
    """Yield just enough trigrams to cover each text; all of a short text, since each of them may be common."""
    for part in parts:
        step = 1 if len(part) <= SHORT_TEXT else 3
        for start in [*range(0, len(part) - 3, step), len(part) - 3]:
            yield part[start : start + 3].replace('"', '""')
