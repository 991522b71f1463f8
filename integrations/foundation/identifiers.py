"""Identifiers: UUIDs that sort by time (RFC 9562, version 7), and the public ids made of them (`evt_…`, `nsub_…`)."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import datetime
from typing import Final
from uuid import UUID

#: Intercom shows these two with hyphens: `nsub_01033700-16ad-11e6-aa08-ed65c3040c0f`.
_HYPHENATED: Final = frozenset({"nsub", "notif"})

_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

_RANDOM_BITS: Final = 74
_RANDOM_LIMIT: Final = 1 << _RANDOM_BITS
_LOW_62: Final = (1 << 62) - 1
_VERSION_AND_VARIANT: Final = (7 << 76) | (2 << 62)
_TIME_MASK: Final = (1 << 48) - 1


class _Sequence:
    """A series of version 7 UUIDs.

    Within one millisecond the 74 random bits are counted up by a random step (RFC 9562 §6.2, method 2), so that ids
    sort by creation and the next one still cannot be guessed.
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
        """32 random bits. Asking the kernel for many at once is most of the cost of an id."""
        if not self._steps:
            self._steps = list(memoryview(os.urandom(1024)).cast("I"))
        return self._steps.pop()

    def _start(self, now_ms: int) -> None:
        self._time = now_ms
        # 73 of the 74 bits: the highest starts as 0, which leaves room to count up.
        self._random = int.from_bytes(os.urandom(10), "big") >> 7


_by_clock = _Sequence()
_by_given_time = _Sequence()


def _forget_after_fork() -> None:
    """A forked child must not continue its parent's counter, nor wait for a lock held by a thread that no longer
    exists.
    """
    global _by_clock, _by_given_time
    _by_clock = _Sequence()
    _by_given_time = _Sequence()


os.register_at_fork(after_in_child=_forget_after_fork)


def uuid7(now_ms: int | None = None) -> UUID:
    """A new UUID of version 7; each is greater than all that this process made before, also when the clock goes back.

    `now_ms`, milliseconds since 1970, stands for the clock where a past moment must be in the id. Such ids are in
    order among those of the same millisecond and do not disturb the series of the clock.
    """
    if now_ms is None:
        return _by_clock.next(time.time_ns() // 1_000_000, may_go_back=False)
    return _by_given_time.next(now_ms, may_go_back=True)


def first_id_at(moment: datetime) -> UUID:
    """The lowest id of that millisecond: ids made earlier are less, all others are not."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def public_id(prefix: str, uuid: UUID) -> str:
    """The id that outsiders see: `evt_` and 32 hex digits; `nsub_` and `notif_` with hyphens, as Intercom's."""
    return f"{prefix}_{uuid}" if prefix in _HYPHENATED else f"{prefix}_{uuid.hex}"


def parse_public_id(prefix: str, text: str) -> UUID | None:
    """The UUID in a public id, with or without the prefix, with or without hyphens; None when `text` holds none."""
    digits = text.removeprefix(f"{prefix}_")
    return UUID(digits) if _UUID_TEXT.fullmatch(digits) else None
