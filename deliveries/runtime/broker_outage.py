"""Handle broker outages: log them once a minute, retry with pauses, and never block a shutdown.

When its broker is unavailable, django-q2's pusher logs a traceback and sleeps for ten seconds, even during a shutdown.
Its guard writes a status to the broker in each cycle (ten times a second while stopping) and logs each failure.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import connections
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf

logger = logging.getLogger("hookdesk.cluster")

#: How long until an outage is logged again.
LOG_EVERY = 60.0
#: How long to wait before retrying an unavailable broker.
PAUSE = 2.0
STATUS_PAUSE = 10.0
_PEEK = "SELECT 1 FROM django_q_ormq WHERE key = %s AND lock < %s LIMIT 1"


class OutageLog:
    """Logs an outage at most once a minute, and the recovery."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._logged_at: float | None = None

    def note(self, cause: object) -> None:
        now = time.monotonic()
        if self._logged_at is None or now - self._logged_at >= LOG_EVERY:
            self._logged_at = now
            self._log.warning("%s does not respond: %s", self._what, cause)

    def note_end(self) -> None:
        if self._logged_at is not None:
            self._logged_at = None
            self._log.warning("%s responds again", self._what)


class _Broker:
    """Delegates to another broker, except for what a subclass overrides."""

    def __init__(self, broker: Any) -> None:
        self._broker: Any = broker._broker if isinstance(broker, _Broker) else broker

    def __getattr__(self, name: str) -> Any:
        if name == "_broker":  # not set yet while unpickling
            raise AttributeError(name)
        return getattr(self._broker, name)


class PusherBroker(_Broker):
    """For the pusher: waits until the broker is available again, or until the pusher is stopped."""

    def __init__(self, broker: Any, stop_event: Any) -> None:
        super().__init__(broker)
        self._stop_event = stop_event
        self._is_orm = isinstance(self._broker, ORM)
        self._outage = OutageLog(logger, "the task queue (deliveries are unaffected; messages and replays wait)")

    def dequeue(self) -> Any:
        try:
            if self._is_orm and not self._has_tasks():
                time.sleep(Conf.POLL)
                tasks = None
            else:
                tasks = self._broker.dequeue()
        except Exception as error:  # each broker raises its own kind of errors
            self._outage.note(error)
            if self._is_orm:
                connections[Conf.ORM].close()
            self._stop_event.wait(PAUSE)
            return None
        self._outage.note_end()
        return tasks

    def _has_tasks(self) -> bool:
        """Check with one plain statement per second: the ORM's query and connection check cost five times as much."""
        with connections[Conf.ORM].cursor() as cursor:
            cursor.execute(_PEEK, [self._broker.list_key, timezone.now()])
            return cursor.fetchone() is not None


class GuardBroker(_Broker):
    """For the guard: drops its status during an outage instead of waiting; the pusher logs the outage."""

    _unavailable_until = 0.0

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        if time.monotonic() < self._unavailable_until:
            return
        try:
            # It must last until the guard's next cycle.
            self._broker.set_stat(key, value, max(timeout, 2 * Conf.GUARD_CYCLE))
        except Exception:  # each broker raises its own kind of errors
            self._unavailable_until = time.monotonic() + STATUS_PAUSE

    def disconnect(self) -> None:
        """Close Redis connections before a fork, so that the child shares no socket; the next call reconnects."""
        if pool := getattr(getattr(self._broker, "connection", None), "connection_pool", None):
            pool.disconnect()


def push_tasks(task_queue: Any, stop_event: Any, broker: Any) -> None:
    """Run django-q2's pusher with tolerance for broker outages."""
    from django_q.pusher import pusher

    pusher(task_queue, stop_event, PusherBroker(broker, stop_event))
