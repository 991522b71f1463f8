"""Tell the supervisor whether engines of this host are alive, without a connection, a thread or waiting."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.context import ForkProcess

from deliveries.runtime import registry
from deliveries.runtime.parent_death import die_with_parent

#: Engines write heartbeats every 5 s. After this many seconds without one, the database is queried …
SUSPICIOUS_SECONDS = 10.0
#: … at this interval …
ASK_SECONDS = 2.0
#: … with this timeout.
ANSWER_SECONDS = 10.0
_ALIVE, _NONE = 0, 3


class EngineWatch:
    """Reads the heartbeats that engines leave in shared memory.

    If the heartbeats stop, an engine of another cluster on this host may still be alive, or the database may be
    unavailable, so that engines cannot write heartbeats. Therefore a separate process queries the database: the
    supervisor must neither wait for a hanging database nor have a connection that its children would share.
    """

    def __init__(self) -> None:
        self._last_seen: float | None = None
        self._query: ForkProcess | None = None
        self._asked_at = 0.0

    def last_seen(self) -> float | None:
        """Return when an engine of this host was last seen alive (monotonic); None if the database is unavailable."""
        now, beat = time.monotonic(), registry.last_heartbeat.get()
        if beat and now - beat < SUSPICIOUS_SECONDS:
            self._last_seen = beat
            return beat
        if self._query is None:
            if now - self._asked_at >= ASK_SECONDS:
                self._ask(now)
        elif not self._query.is_alive():
            self._read_answer(self._query.exitcode)
        elif now - self._asked_at > ANSWER_SECONDS:
            self._query.kill()
            self._query.join()
            self._read_answer(None)
        return self._last_seen

    def _ask(self, now: float) -> None:
        self._asked_at = now
        self._query = multiprocessing.get_context("fork").Process(target=_query_database, daemon=True)
        self._query.start()

    def _read_answer(self, status: int | None) -> None:
        self._query = None
        if status == _ALIVE:
            self._last_seen = self._asked_at
        elif status != _NONE:
            # The database is unavailable, so engines cannot write heartbeats: a missing one means nothing.
            self._last_seen = None
        elif self._last_seen is None:
            self._last_seen = self._asked_at


def _query_database() -> None:
    """Query the database in the separate process. Its exit status is the answer."""
    from django.utils import timezone

    from deliveries.models import Engine

    die_with_parent()
    is_alive = Engine.objects.alive(timezone.now()).filter(host=registry.host_name()).exists()
    os._exit(_ALIVE if is_alive else _NONE)
