"""UUIDs that sort by creation time (RFC 9562, version 7), and public ids derived from them (`evt_…`, `nsub_…`)."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

#: Intercom writes these two with hyphens: `nsub_01033700-16ad-11e6-aa08-ed65c3040c0f`.
_HYPHENATED: Final = frozenset({"nsub", "notif"})

_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

_RANDOM_BITS: Final = 74
_RANDOM_LIMIT: Final = 1 << _RANDOM_BITS
_LOW_62: Final = (1 << 62) - 1
_VERSION_AND_VARIANT: Final = (7 << 76) | (2 << 62)
_TIME_MASK: Final = (1 << 48) - 1


class _Sequence:
    """A monotonic series of version 7 UUIDs.

    Within one millisecond, the 74 random bits increase by a random step (RFC 9562 §6.2, method 2), so that ids sort by
    creation and the next one cannot be guessed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._time = -1
        self._random = 0
        self._steps: list[int] = []

    def next(self, now_ms: int, *, may_go_back: bool) -> UUID:
        with self._lock:
            if now_ms < self._time and not may_go_back:
                now_ms = self._time
            if now_ms != self._time:
                self._start(now_ms)
            else:
                self._random += 1 + self._step()
                if self._random >= _RANDOM_LIMIT:
                    self._start(now_ms + 1)
            moment, bits = self._time, self._random
        return UUID(int=(moment & _TIME_MASK) << 80 | bits >> 62 << 64 | bits & _LOW_62 | _VERSION_AND_VARIANT)

    def _step(self) -> int:
        """Return 32 random bits, taken from a buffer: one system call per id would be most of its cost."""
        if not self._steps:
            self._steps = list(memoryview(os.urandom(1024)).cast("I"))
        return self._steps.pop()

    def _start(self, now_ms: int) -> None:
        self._time = now_ms
        # 73 of the 74 bits: the highest starts as 0, which leaves room for increments.
        self._random = int.from_bytes(os.urandom(10), "big") >> 7


_by_clock = _Sequence()
_by_given_time = _Sequence()


def _forget_after_fork() -> None:
    """Give a forked child its own series: it must not continue its parent's, or wait for a lock whose owner is gone."""
    global _by_clock, _by_given_time
    _by_clock = _Sequence()
    _by_given_time = _Sequence()


os.register_at_fork(after_in_child=_forget_after_fork)


def uuid7(now_ms: int | None = None) -> UUID:
    """Return a new version 7 UUID, greater than all that this process created before, even if the clock is set back.

    `now_ms` (milliseconds since 1970) replaces the clock for ids of past moments. Such ids are ordered among those of
    the same millisecond and do not affect the clock's series.
    """
    if now_ms is None:
        return _by_clock.next(time.time_ns() // 1_000_000, may_go_back=False)
    return _by_given_time.next(now_ms, may_go_back=True)


def first_id_at(moment: datetime) -> UUID:
    """Return the lowest id of that millisecond: all ids created earlier are less."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def made_at(uuid: UUID) -> datetime:
    """Return when a version 7 UUID was created, to the millisecond, in UTC."""
    return datetime.fromtimestamp((uuid.int >> 80) / 1000, UTC)


def public_id(prefix: str, uuid: UUID) -> str:
    """Return the public form of an id: `evt_` and 32 hex digits; `nsub_` and `notif_` with hyphens, as in Intercom."""
    return f"{prefix}_{uuid}" if prefix in _HYPHENATED else f"{prefix}_{uuid.hex}"


def parse_public_id(prefix: str, text: str) -> UUID | None:
    """Return the UUID in a public id; prefix and hyphens are optional. None if `text` is not an id."""
    digits = text.removeprefix(f"{prefix}_")
    return UUID(digits) if _UUID_TEXT.fullmatch(digits) else None
