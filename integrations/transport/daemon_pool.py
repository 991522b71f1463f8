"""Daemon threads that are started when they are needed and woken last in, first out.

`concurrent.futures` joins its threads when the interpreter exits, so one hanging lookup would hold up a
shutdown; these do not. Last in, first out keeps the set of busy threads as small as the load allows, which
matters: threads that wake each other in turn spend more time on handing over than on working.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

Job = Callable[[], object]

#: Bytes of a thread's stack: the default of 8 MB times hundreds of threads is a lot of address space.
STACK_BYTES = 512 * 1024
_starting = threading.Lock()


class DaemonPool:
    """Runs jobs in at most `capacity` threads; more jobs wait in line. A job must not raise.

    `limit` is how many threads may be busy at the moment; it can be changed while they work.
    """

    def __init__(self, capacity: int, name: str, *, limit: int | None = None) -> None:
        self.capacity = capacity
        self.limit = capacity if limit is None else min(limit, capacity)
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[tuple[float, Job]] = deque()
        self._idle: list[SimpleQueue[Job | None]] = []
        self._threads = 0
        self._is_closed = False

    @property
    def has_waiting(self) -> bool:
        """True while jobs stand in line."""
        return bool(self._waiting)

    def longest_wait(self) -> float:
        """Seconds that the first job in line has waited; 0 with none."""
        try:
            return time.monotonic() - self._waiting[0][0]
        except IndexError:
            return 0.0

    def submit(self, job: Job) -> None:
        """Runs `job` soon in some thread. Never blocks."""
        with self._lock:
            inbox = None if self._waiting else self._free_inbox()
            if inbox is None:
                self._waiting.append((time.monotonic(), job))
                return
        inbox.put(job)

    def set_limit(self, limit: int) -> None:
        """From now on at most `limit` threads are busy; if that is more, jobs in line begin at once."""
        self.limit = min(limit, self.capacity)
        while self._waiting:
            with self._lock:
                inbox = self._free_inbox() if self._waiting else None
                if inbox is None:
                    return
                _, job = self._waiting.popleft()
            inbox.put(job)

    def close(self) -> None:
        """Ends the idle threads now and the busy ones after their job; jobs in line are dropped."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            idle, self._idle = self._idle, []
        for inbox in idle:
            inbox.put(None)

    def _free_inbox(self) -> SimpleQueue[Job | None] | None:
        if self._threads - len(self._idle) >= self.limit:
            return None
        if self._idle:
            return self._idle.pop()
        if self._threads >= self.capacity or self._is_closed:
            return None
        try:
            inbox = self._start()
        except RuntimeError:  # the system has no more threads: go on with those there are
            if self._threads == 0:
                raise
            return None
        self._threads += 1
        return inbox

    def _start(self) -> SimpleQueue[Job | None]:
        inbox: SimpleQueue[Job | None] = SimpleQueue()
        thread = threading.Thread(target=self._work, args=(inbox,), name=f"{self._name}-{self._threads}", daemon=True)
        with _starting:
            previous = threading.stack_size(STACK_BYTES)
            try:
                thread.start()
            finally:
                threading.stack_size(previous)
        return inbox

    def _work(self, inbox: SimpleQueue[Job | None]) -> None:
        job = inbox.get()
        while job is not None:
            job()
            job = self._next_job(inbox) or inbox.get()

    def _next_job(self, inbox: SimpleQueue[Job | None]) -> Job | None:
        """The next job in line; with none, this thread's inbox is put among the idle ones."""
        with self._lock:
            if self._waiting and self._threads - len(self._idle) <= self.limit:
                return self._waiting.popleft()[1]
            if self._is_closed:
                inbox.put(None)
            else:
                self._idle.append(inbox)
            return None
