"""Pushes by the HTTP status of their answers. Counted in memory, and added to the database every few seconds.

So a push costs no statement more, and a process that is killed takes the last seconds' counts with it.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import Counter
from contextlib import suppress
from typing import Final

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Sum

from deliveries.models import PushCount
from deliveries.storage.counters import Counters
from deliveries.storage.rows.figures import writer

logger = logging.getLogger("hookdesk.web")

FLUSH_SECONDS: Final = 5.0
#: The store of pushes whose caller proved none.
NOBODY: Final = uuid.UUID(int=0)

_ROWS: Final = Counters(PushCount, unique=("store_id", "status", "writer"), added=("number",), replaced=(), computed={})
_lock = threading.Lock()
_counts: Counter[tuple[uuid.UUID, int]] = Counter()


def count_push(store_id: uuid.UUID | None, status: int) -> None:
    """Of the store that the caller proved to be; None if it proved nothing. Without the database."""
    with _lock:
        _counts[store_id or NOBODY, status] += 1


def flush() -> None:
    """Add this process's counts to the database. Raises what it raises, and keeps them, if they cannot be written."""
    with _lock:
        taken = dict(_counts)
        _counts.clear()
    if not taken:
        return
    rows = [
        {"store_id": store_id, "status": status, "writer": writer(), "number": number}
        for (store_id, status), number in sorted(taken.items())
    ]
    try:
        with transaction.atomic():
            _ROWS.add(rows)
    except Exception:
        with _lock:
            _counts.update(taken)
        raise


def flush_quietly() -> None:
    """In a thread of its own: the next one takes what this one could not write."""
    try:
        flush()
        connection.close()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("pushes are not counted yet: %s", error)
        with suppress(Exception):
            connection.close()
    except Exception:
        logger.exception("pushes are not counted yet")


def pushes_ever() -> dict[tuple[uuid.UUID, int], int]:
    """By store (`NOBODY`) and status."""
    rows = PushCount.objects.values_list("store_id", "status").annotate(Sum("number")).order_by()
    return {(store_id, status): int(number) for store_id, status, number in rows}


def fold_pushes(keep: int = 1_000) -> int:
    """Processes come and go: add up the rows of all of them in one, if there are more than `keep`; returns how many."""
    if PushCount.objects.count() <= keep:
        return 0
    with transaction.atomic():
        rows = list(PushCount.objects.select_for_update().order_by("store_id", "status", "writer"))
        sums: Counter[tuple[uuid.UUID, int]] = Counter()
        for row in rows:
            sums[row.store_id, row.status] += row.number
        PushCount.objects.filter(id__in=[row.pk for row in rows]).delete()
        _ROWS.add(
            [
                {"store_id": store_id, "status": status, "writer": 0, "number": number}
                for (store_id, status), number in sorted(sums.items())
            ]
        )
    return len(rows)
