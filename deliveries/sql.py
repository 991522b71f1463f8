"""Values for plain SQL on either database: SQLite keeps times and uuids as text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import connection


def as_time(value: datetime | None) -> Any:
    return value if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(value)


def as_key(value: uuid.UUID | None) -> Any:
    return value if connection.vendor == "postgresql" or value is None else value.hex


def to_time(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def to_key(value: Any) -> Any:
    return uuid.UUID(value) if isinstance(value, str) else value
