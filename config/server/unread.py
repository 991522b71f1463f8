"""How a client takes its answer: what waits for it, since when, and whether that is too slow."""

from __future__ import annotations

from dataclasses import dataclass

from config.server.limits import Limits


@dataclass(slots=True)
class Unread:
    """`since` is when the client fell behind (0: it has not); `size` counts what it was to take since then."""

    since: float = 0.0
    size: int = 0

    def on_write(self, written: int, left: int, now: float) -> None:
        """`written` bytes more, and now `left` of all wait for the client."""
        if self.since and left > written:
            self.size += written
        else:
            self.since, self.size = now, left

    def is_overdue(self, left: int, now: float, limits: Limits) -> bool:
        """True if the client took less than `write_rate` since it fell behind, for longer than `write_seconds`."""
        if not left:
            self.since = 0.0
            return False
        return now - self.since > limits.write_seconds + (self.size - left) / limits.write_rate
