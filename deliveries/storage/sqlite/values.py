"""Values as Django stores them in SQLite: times and UUIDs as text."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def as_time(value: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(value))
