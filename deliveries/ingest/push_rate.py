"""A store's pushes per second, over all web processes and hosts.

The budget of each second is a row in the database, from which each process takes a slice before it lets pushes in:
single requests up to a limit of 199, hundredths of it above. A slice is valid until that second ends, by the
database's clock, so no second admits more than the limit; the unused part of a slice is lost to
the others. Once a second's budget is used up, a process does not ask again before the next.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass

from deliveries.storage import backend

#: Slice as a fraction of the limit: smaller means more queries, larger means more loss.
SLICES = 100
#: Stores remembered; those whose second is over are forgotten first.
MAX_STORES = 1_000


@dataclass(slots=True)
class _Slice:
    """`left` pushes are allowed until `until` (monotonic); at 0 with `is_all_gone`, none are, without asking again."""

    second: int
    left: int
    is_used_up: bool
    until: float


_slices: dict[uuid.UUID, _Slice] = {}
_lock = threading.Lock()


def take_push(store_id: uuid.UUID, limit: int) -> int | None:
    """None if the store may push now; else the Unix second in which it may again."""
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
    """Whether the store may push now by what this process already has for it: without the database."""
    with _lock:
        held = _slices.get(store_id)
        if held is None or held.left <= 0 or time.monotonic() >= held.until:
            return False
        held.left -= 1
        return True


def return_push(store_id: uuid.UUID) -> None:
    """A push that `take_held` let in is taken in another way, which counts it again."""
    with _lock:
        held = _slices.get(store_id)
        if held is not None and not held.is_used_up:
            held.left += 1


def _take_slice(store_id: uuid.UUID, number: int, limit: int) -> _Slice:
    before = time.monotonic()
    used, second, now = backend().count_pushes(store_id, number)
    granted = max(0, number - max(0, used - limit))
    # Counted from before the statement, so that it ends before the database's second does and never after.
    return _Slice(second, granted, used >= limit, before + max(0.0, second + 1 - now))


def _remember(store_id: uuid.UUID, taken: _Slice) -> None:
    if len(_slices) >= MAX_STORES and store_id not in _slices:
        now = time.monotonic()
        for key in [key for key, held in _slices.items() if held.until <= now]:
            del _slices[key]
        if len(_slices) >= MAX_STORES:
            _slices.clear()
    _slices[store_id] = taken
