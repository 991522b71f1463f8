"""A store's pushes per second, over all web processes and hosts.

The budget of each second is a row in the database, from which each process takes a slice before it lets pushes in:
single ones up to a limit of 199, hundredths of it above. What is taken is good until that second ends, by the
database's clock, so in no second do more come in than the limit; a slice that one process does not use up is lost to
the others. Once a second's budget is gone, a process asks no more before the next.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import connection

from deliveries.models import PushWindow
from deliveries.storage.sql import as_key, execute_prepared

#: Of the limit; the smaller, the more often the database is asked, the larger, the more is lost.
SLICES = 100
#: Stores remembered; those whose second is over are forgotten first.
MOST_REMEMBERED = 1_000

_TABLE = PushWindow._meta.db_table
# A clock that is behind the row's, on another host or because it waited for the row, counts into the row's second.
_TAKE = (
    f"INSERT INTO {_TABLE} AS w (store_id, second, used) VALUES (%s, {{second}}, {{number}})"
    " ON CONFLICT (store_id) DO UPDATE SET"
    " used = CASE WHEN excluded.second > w.second THEN excluded.used ELSE w.used + excluded.used END,"
    " second = CASE WHEN excluded.second > w.second THEN excluded.second ELSE w.second END"
)
_TAKE_PORTABLE = _TAKE.format(second="%s", number="%s") + " RETURNING used, second"
# Nothing is lost if the last count is: its commit need not wait for the disk.
_TAKE_POSTGRESQL = (
    _TAKE.format(second="floor(extract(epoch FROM clock_timestamp()))::bigint", number="%s::bigint")
    + " RETURNING used, second, extract(epoch FROM clock_timestamp())::float8,"
    " (SELECT set_config('synchronous_commit', 'off', true))"
)


@dataclass(slots=True)
class _Slice:
    """`left` pushes may come in until `until` (monotonic); at 0 with `is_all_gone`, none may, and nobody need ask."""

    second: int
    left: int
    is_all_gone: bool
    until: float


_slices: dict[uuid.UUID, _Slice] = {}
_lock = threading.Lock()


def take_push(store_id: uuid.UUID, limit: int) -> int | None:
    """None if the store may push once more now; else the unix second in which it may again."""
    with _lock:
        held = _slices.get(store_id)
        if held is not None and time.monotonic() < held.until:
            if held.left > 0:
                held.left -= 1
                return None
            if held.is_all_gone:
                return held.second + 1
    taken = _take_slice(store_id, max(1, limit // SLICES), limit)
    refused = taken.left == 0
    if not refused:
        taken.left -= 1
    with _lock:
        held = _slices.get(store_id)
        if held is not None and held.second == taken.second and time.monotonic() < held.until:
            taken.left += held.left
            taken.is_all_gone |= held.is_all_gone
        _remember(store_id, taken)
    return taken.second + 1 if refused else None


def _take_slice(store_id: uuid.UUID, number: int, limit: int) -> _Slice:
    before = time.monotonic()
    used, second, now = _count(store_id, number)
    granted = max(0, number - max(0, used - limit))
    # Counted from before the statement, so that it ends before the database's second does and never after.
    return _Slice(second, granted, used >= limit, before + max(0.0, second + 1 - now))


def _count(store_id: uuid.UUID, number: int) -> tuple[int, int, float]:
    """What is used of which second, with this; and the time now."""
    if connection.vendor == "postgresql":
        row: Any = execute_prepared(_TAKE_POSTGRESQL, [store_id, number])[0]
        return row[0], row[1], row[2]
    now = time.time()
    with connection.cursor() as cursor:
        # Without the wait for the disk, as above: this is no transaction of a push.
        if not connection.in_atomic_block:
            cursor.execute("PRAGMA synchronous = NORMAL")
        try:
            cursor.execute(_TAKE_PORTABLE, [as_key(store_id), int(now), number])
            used, second = cursor.fetchone()
        finally:
            if not connection.in_atomic_block:
                cursor.execute("PRAGMA synchronous = FULL")
    return used, second, now


def _remember(store_id: uuid.UUID, taken: _Slice) -> None:
    if len(_slices) >= MOST_REMEMBERED and store_id not in _slices:
        now = time.monotonic()
        for key in [key for key, held in _slices.items() if held.until <= now]:
            del _slices[key]
        if len(_slices) >= MOST_REMEMBERED:
            _slices.clear()
    _slices[store_id] = taken
