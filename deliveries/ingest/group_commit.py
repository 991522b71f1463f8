"""Group commit: pushes that arrive while a transaction runs are written together in the next one.

A single writer thread takes pushes from a queue. It never waits for a group to fill: a push that arrives alone is
written alone, immediately. Each push has its own result, and a failure of one does not affect the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from deliveries.runtime.failpoints import failpoint
from deliveries.runtime.notify import may_notify_inline, wake
from deliveries.storage import backend
from deliveries.storage.rows.pushes import Verdict, WaitingPush
from deliveries.storage.write_lock import WriteLock

logger = logging.getLogger("hookdesk.ingest")

#: Most pushes and rows in one transaction, which bound how long the following pushes wait.
MAX_PUSHES = 200
MAX_ROWS = 2_000
#: After this many seconds without a push, the connection is checked before it is used.
CHECK_CONNECTION_AFTER = 1.0
#: Most seconds that the writer yields to other threads between two transactions.
MAX_YIELD_SECONDS = 0.03

#: A verdict, or a database error: either of this push alone, or one after which it is unknown what was stored.
Result = Verdict | DatabaseError | InterfaceError


@dataclass(slots=True, eq=False)
class GroupedPush:
    """A push in the queue of a `GroupCommit`. `result` is set before `finish` gets the push."""

    waiting: WaitingPush
    result: Result = None

    @property
    def size(self) -> int:
        rows = self.waiting.rows
        return 1 + len(rows.events) + len(rows.deliveries) + len(rows.records)


Push = TypeVar("Push", bound=GroupedPush)


class GroupCommit(Generic[Push]):
    """The queue and its writer thread.

    Both are called in the writer thread with the pushes of a transaction: `begin(pushes)` while it runs, again if it is
    repeated, and `finish(pushes)` after it. `has_other_writers()` returns whether other threads are waiting to write:
    the writer yields to them after each transaction.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[Push]], None],
        finish: Callable[[Sequence[Push]], None],
        has_other_writers: Callable[[], bool] = lambda: False,
    ) -> None:
        self._begin, self._finish = begin, finish
        self._others_write = has_other_writers
        self._queue: deque[Push] = deque()
        #: Wakes the writer thread; used only while `_is_waiting`.
        self._wakeup: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_started = self._is_stopped = self._is_waiting = False
        self._last_used_at = 0.0

    def submit(self, push: Push) -> None:
        """Enqueue a push. Never blocks for long."""
        with self._lock:
            if not self._is_started:
                self._is_started = True
                threading.Thread(target=self._run, name="group commit", daemon=True).start()
            self._queue.append(push)
            self._wake_writer()

    def stop(self) -> None:
        """End the writer thread once the queue is empty."""
        with self._lock:
            self._is_stopped = True
            self._wake_writer()

    def _wake_writer(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._wakeup.put(None)

    def _run(self) -> None:
        write_lock = WriteLock(backend().database_file())
        try:
            while group := self._wait_for_group():
                with write_lock.acquire():
                    self._write(group)
                self._call(self._finish, group)
                self._yield_to_other_writers()
        finally:
            write_lock.close()
            connection.close()

    def _yield_to_other_writers(self) -> None:
        """Pause between transactions if the database has one writer at a time: otherwise the others would starve."""
        until = time.monotonic() + MAX_YIELD_SECONDS
        while self._others_write() and backend().has_one_writer and time.monotonic() < until:
            time.sleep(0.002)

    def _wait_for_group(self) -> list[Push]:
        """Wait for pushes and return those that may be written together; empty when stopped.

        A push that shares a record or an idempotency key with an earlier one stays in the queue, and so does every
        later push with the same key, so that their order is kept.
        """
        while True:
            with self._lock:
                if self._queue or self._is_stopped:
                    return self._take_group()
                self._is_waiting = True
            self._wakeup.get()

    def _take_group(self) -> list[Push]:
        group: list[Push] = []
        postponed: list[Push] = []
        taken: set[tuple[object, ...]] = set()
        size = 0
        while self._queue and len(group) < MAX_PUSHES and size < MAX_ROWS:
            push = self._queue.popleft()
            keys = set(push.waiting.keys())
            if keys and not taken.isdisjoint(keys):
                postponed.append(push)
            else:
                group.append(push)
                size += push.size
            taken |= keys
        self._queue.extendleft(reversed(postponed))
        return group

    def _write(self, group: Sequence[Push]) -> None:
        """Write the group and set each push's result."""
        has_due = any(row.lease is None for push in group for row in push.waiting.rows.deliveries)
        notifies = has_due and may_notify_inline()
        try:
            self._check_connection()
            results: Sequence[Result] = backend().write_pushes(
                [push.waiting for push in group], notifies=notifies, meanwhile=partial(self._call, self._begin, group)
            )
            failpoint("ingest.after_commit")
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database is unavailable: %s", error)
            with suppress(Exception):
                connection.close()
            results = [error] * len(group)
        except Exception as error:
            if len(group) > 1:
                # One of them cannot be written: write each alone to find out which.
                for push in group:
                    self._write([push])
                return
            logger.exception("could not write a push")
            results = [error if isinstance(error, DatabaseError) else DatabaseError(str(error))]
        for push, result in zip(group, results, strict=True):
            push.result = result
        if has_due and not notifies:
            wake()

    def _call(self, callback: Callable[[Sequence[Push]], None], group: Sequence[Push]) -> None:
        """Log its errors: one would leave it unknown what was stored, or end the thread that all pushes need."""
        try:
            callback(group)
        except Exception:
            logger.exception("could not tell of %s pushes", len(group))

    def _check_connection(self) -> None:
        before, self._last_used_at = self._last_used_at, time.monotonic()
        if (
            self._last_used_at - before > CHECK_CONNECTION_AFTER
            and connection.connection is not None
            and not connection.is_usable()
        ):
            connection.close()
