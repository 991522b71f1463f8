"""Track how a client reads its response: how much is unread, since when, and whether that is too slow."""

from __future__ import annotations

from dataclasses import dataclass

from config.server.limits import Limits


@dataclass(slots=True)
class Unread:
    """`since`: when the client fell behind (0: it has not). `size`: bytes written for it since then."""

    since: float = 0.0
    size: int = 0

    def on_write(self, written: int, left: int, now: float) -> None:
        """Note that `written` more bytes were written and that `left` bytes in total are now unread."""
        if self.since and left > written:
            self.size += written
        else:
            self.since, self.size = now, left

    def is_overdue(self, left: int, now: float, limits: Limits) -> bool:
        """Whether the client has read less than `write_rate` since it fell behind, for longer than `write_seconds`."""
        if not left:
            self.since = 0.0
            return False
        return now - self.since > limits.write_seconds + (self.size - left) / limits.write_rate
