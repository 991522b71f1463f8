"""Values as Django keeps them in SQLite: times and uuids as text."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def as_time(value: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(value))
