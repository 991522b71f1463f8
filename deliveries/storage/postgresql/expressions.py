"""SQL expressions that differ on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from deliveries.storage.sql import ascii_lower


class Expressions:
    #: By code points, as Python sorts.
    byte_collation = "C"

    def holds_text(self, column: str, text: str) -> tuple[str, Any]:
        # ILIKE takes ten times as long.
        if text.lower() == text.upper():
            return f"position(%s in {column}::text) > 0", text
        return f'position(%s in lower({column}::text COLLATE "C")) > 0', ascii_lower(text)

    def holds_bytes(self, column: str, text: str) -> tuple[str, Any]:
        if text.lower() == text.upper():
            return f"position(%s in {column}) > 0", text.encode()
        # Escape non-ASCII bytes as `encode` does; the column need not be valid UTF-8.
        octal = "".join(chr(byte) if byte < 0x80 else f"\\{byte:03o}" for byte in text.replace("\\", "\\\\").encode())
        return self.holds_text(f"encode({column}, 'escape')", octal)

    def unix_seconds(self, column: str) -> str:
        return f"floor(extract(epoch from {column}))::bigint"

    def milliseconds(self, begin: str, end: str) -> str:
        return f"extract(epoch from {end} - {begin}) * 1000"

    def bin_of(self, value: str, bounds: Sequence[int]) -> str:
        return f"width_bucket({value}, ARRAY[{', '.join(map(str, bounds))}]::numeric[])"

    def prefer_indexes(self) -> None:
        # The planner tends to scan the table for a condition that it considers common.
        self._value("SELECT set_config('enable_seqscan', 'off', true)")

    def estimated_rows(self, table: str) -> int:
        query = (
            "SELECT coalesce(sum(greatest(reltuples, 0)), 0) FROM pg_class WHERE relkind = 'r' AND (oid = %s::regclass"
            " OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass))"
        )
        return int(self._value(query, table, table))

    def server_clock(self) -> datetime | None:
        found: datetime = self._value("SELECT clock_timestamp()")
        return found

    def _value(self, query: str, *values: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchone()[0]
