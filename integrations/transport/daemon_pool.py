"""A pool of daemon threads that start on demand and are woken in LIFO order.

`concurrent.futures` joins its threads at interpreter exit, so one hanging lookup would delay shutdown; daemon threads
are not joined. LIFO order keeps the number of active threads as small as the load allows, which saves context
switches.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from integrations.foundation.frame_block import in_one_block

Job = Callable[[], object]

#: Stack size per thread in bytes. The default of 8 MB reserves too much address space for hundreds of threads.
STACK_BYTES = 512 * 1024
_starting = threading.Lock()


class DaemonPool:
    """Runs jobs in at most `capacity` threads and queues the rest. A job must not raise.

    `limit` is the number of threads that may be busy now (at most `capacity`); `set_limit` changes it.
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
        """True while jobs are queued."""
        return bool(self._waiting)

    def longest_wait(self) -> float:
        """Return how many seconds the oldest queued job has waited; 0 if none is queued."""
        try:
            return time.monotonic() - self._waiting[0][0]
        except IndexError:
            return 0.0

    def submit(self, job: Job) -> None:
        """Start `job` in a thread, or queue it. Never blocks."""
        with self._lock:
            inbox = None if self._waiting else self._free_inbox()
            if inbox is None:
                self._waiting.append((time.monotonic(), job))
                return
        inbox.put(job)

    def set_limit(self, limit: int) -> None:
        """Allow at most `limit` busy threads. A higher limit starts queued jobs immediately."""
        self.limit = min(limit, self.capacity)
        while self._waiting:
            with self._lock:
                inbox = self._free_inbox() if self._waiting else None
                if inbox is None:
                    return
                _, job = self._waiting.popleft()
            inbox.put(job)

    def close(self) -> None:
        """Stop idle threads now and busy ones after their job. Queued jobs are dropped."""
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
        except RuntimeError:  # the system cannot start more threads: continue with those that exist
            if self._threads == 0:
                raise
            return None
        self._threads += 1
        return inbox

    def _start(self) -> SimpleQueue[Job | None]:
        inbox: SimpleQueue[Job | None] = SimpleQueue()
        work = partial(in_one_block, partial(self._work, inbox))
        thread = threading.Thread(target=work, name=f"{self._name}-{self._threads}", daemon=True)
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
        """Return the next queued job; if there is none, mark this thread as idle."""
        with self._lock:
            if self._waiting and self._threads - len(self._idle) <= self.limit:
                return self._waiting.popleft()[1]
            if self._is_closed:
                inbox.put(None)
            else:
                self._idle.append(inbox)
            return None
