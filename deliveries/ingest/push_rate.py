"""The rate limit of a store's pushes per second, across all web processes and hosts.

Each second's budget is a row in the database. A process takes a slice of it before it admits pushes: a single request
up to a limit of 199, a hundredth of the limit above. A slice is valid until its second ends by the database's clock, so
no second admits more than the limit; the unused part of a slice is lost. Once a second's budget is used up, a process
does not ask again before the next second.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

from deliveries.storage import backend

#: A slice is this fraction of the limit. Smaller slices cost more queries, larger ones waste more of the budget.
SLICES = 100
#: Most stores with a cached slice; expired slices are dropped first.
MAX_STORES = 1_000


@dataclass(slots=True)
class _Slice:
    """`left` more pushes may be admitted until `until` (monotonic). `is_used_up`: the second's budget has no more."""

    second: int
    left: int
    is_used_up: bool
    until: float


_slices: dict[uuid.UUID, _Slice] = {}
_lock = threading.Lock()


def take_push(store_id: uuid.UUID, limit: int) -> int | None:
    """Admit one push: return None, or the Unix second in which the store may push again."""
    with _lock:
        held = _slices.get(store_id)
        if held is not None and time.monotonic() < held.until:
            if held.left > 0:
                held.left -= 1
                return None
            if held.is_used_up:
                return held.second + 1
    taken = _take_slice(store_id, max(1, limit // SLICES), limit)
    refused = taken.left == 0
    if not refused:
        taken.left -= 1
    with _lock:
        held = _slices.get(store_id)
        if held is not None and held.second == taken.second and time.monotonic() < held.until:
            taken.left += held.left
            taken.is_used_up |= held.is_used_up
        _remember(store_id, taken)
    return taken.second + 1 if refused else None


def take_from_slice(store_id: uuid.UUID) -> bool:
    """Admit one push from this process's slice, without the database. False: the slice is empty or expired."""
    with _lock:
        held = _slices.get(store_id)
        if held is None or held.left <= 0 or time.monotonic() >= held.until:
            return False
        held.left -= 1
        return True


def return_push(store_id: uuid.UUID) -> None:
    """Return a push to the slice: it was admitted, but falls back to the slow path, which counts it again."""
    with _lock:
        held = _slices.get(store_id)
        if held is not None and not held.is_used_up:
            held.left += 1


def _take_slice(store_id: uuid.UUID, number: int, limit: int) -> _Slice:
    before = time.monotonic()
    used, second, now = backend().count_pushes(store_id, number)
    granted = max(0, number - max(0, used - limit))
    # Measured from before the statement, so that the slice never outlives the database's second.
    return _Slice(second, granted, used >= limit, before + max(0.0, second + 1 - now))


def _remember(store_id: uuid.UUID, taken: _Slice) -> None:
    if len(_slices) >= MAX_STORES and store_id not in _slices:
        now = time.monotonic()
        for key in [key for key, held in _slices.items() if held.until <= now]:
            del _slices[key]
        if len(_slices) >= MAX_STORES:
            _slices.clear()
    _slices[store_id] = taken
