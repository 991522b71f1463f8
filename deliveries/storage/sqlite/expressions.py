"""SQL expressions that differ on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from deliveries.storage.sql import escaped_like


class Expressions:
    #: By code points, as Python sorts.
    byte_collation = "BINARY"

    def holds_text(self, column: str, text: str) -> tuple[str, Any]:
        return f"{column} LIKE %s ESCAPE '\\'", f"%{escaped_like(text)}%"

    def holds_bytes(self, column: str, text: str) -> tuple[str, Any]:
        # For LIKE, a text ends at its first NUL: remove them.
        return self.holds_text(f"replace(CAST({column} AS TEXT), char(0), '')", text)

    def unix_seconds(self, column: str) -> str:
        return f"CAST(strftime('%%s', {column}) AS INTEGER)"

    def milliseconds(self, begin: str, end: str) -> str:
        return f"round((julianday({end}) - julianday({begin})) * 86400000)"  # accurate to about 0.05

    def bin_of(self, value: str, bounds: Sequence[int]) -> str:
        whens = " ".join(f"WHEN {value} < {bound} THEN {index}" for index, bound in enumerate(bounds))
        return f"CASE {whens} ELSE {len(bounds)} END"

    def prefer_indexes(self) -> None:
        """Do nothing: SQLite uses an index wherever there is one."""

    def estimated_rows(self, table: str) -> int:
        """Estimate from the range of row ids: pruning deletes the lowest ones."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT (SELECT max(rowid) FROM {table}) - (SELECT min(rowid) FROM {table}) + 1")
            return int(cursor.fetchone()[0] or 0)

    def server_clock(self) -> datetime | None:
        return None
