"""The engines of this host: slots, heartbeats, stop flag."""

from __future__ import annotations

import mmap
import os
import socket
import struct
import time
import uuid
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from deliveries.models import Engine
from deliveries.models.engine import HEARTBEAT_STALE


class StopFlag:
    """A flag shared with processes forked afterwards: one byte of shared memory, and no lock.

    `multiprocessing.Event` takes a lock even for reading. If a process is killed while it holds the lock, all others
    wait forever.
    """

    #: How often `wait` checks the flag, in seconds.
    POLL_SECONDS = 0.05

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)  # anonymous and shared

    def renew(self) -> None:
        """Start over with an unset flag, shared only with processes that are forked from now on."""
        self._byte = mmap.mmap(-1, 1)

    def is_set(self) -> bool:
        return self._byte[0] != 0

    def set(self) -> None:
        self._byte[0] = 1

    def clear(self) -> None:
        self._byte[0] = 0

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set or `seconds` have passed; return whether it is set."""
        until = None if seconds is None else time.monotonic() + seconds
        while not self.is_set():
            left = self.POLL_SECONDS if until is None else until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(self.POLL_SECONDS, left))
        return True


class SharedTime:
    """A monotonic time, shared with processes forked afterwards; initially 0."""

    def __init__(self) -> None:
        self._bytes = mmap.mmap(-1, 8)

    def get(self) -> float:
        return float(struct.unpack("d", self._bytes[:8])[0])

    def set(self, moment: float) -> None:
        self._bytes[:8] = struct.pack("d", moment)


#: Tells engines to drain and stop. Created before the cluster forks its workers, so that all share it: django-q2 does
#: not signal a worker that is in the middle of a task.
stopping = StopFlag()
#: When an engine of this host last wrote a heartbeat; the supervisor watches it.
last_heartbeat = SharedTime()
#: When an engine of this host last ran the periodic jobs.
last_periodic = SharedTime()


def _ignore() -> None:
    """Do nothing: the free slot is noticed at the next check."""


#: Called when an engine frees its slot. The cluster's guard sets it before it forks its workers.
on_free_slot: Callable[[], None] = _ignore


def host_name() -> str:
    return os.environ.get("HOOKDESK_HOST") or socket.gethostname()


def register(now: datetime) -> Engine | None:
    """Take a free slot of this host, or one whose engine died. None: enough engines are running."""
    host, token = host_name(), uuid.uuid4()
    fresh = {"token": token, "pid": os.getpid(), "started_at": now, "beat_at": now, "in_flight": 0, "sent_count": 0}
    for slot in range(settings.ENGINE_PROCESSES):
        held = Engine.objects.filter(host=host, slot=slot).first()
        if held is None:
            try:
                with transaction.atomic():
                    return Engine.objects.create(host=host, slot=slot, **fresh)
            except IntegrityError:
                continue
        if is_alive(held, now):
            continue
        if Engine.objects.filter(id=held.id, token=held.token).update(**fresh):
            return Engine.objects.get(id=held.id)
    return None


def is_alive(engine: Engine, now: datetime) -> bool:
    """Whether its heartbeat is recent and, if it is on this host, its process still exists."""
    if engine.beat_at < now - HEARTBEAT_STALE:
        return False
    return engine.host != host_name() or _is_process_alive(engine.pid)


def _is_process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def missing_here(now: datetime) -> int:
    """Return how many engines this host lacks."""
    wanted: int = settings.ENGINE_PROCESSES
    return max(0, wanted - sum(is_alive(engine, now) for engine in Engine.objects.filter(host=host_name())))


def heartbeat(engine: Engine, *, now: datetime, in_flight: int, sent_count: int) -> bool:
    """Write a heartbeat. False: another process has taken the slot, so this engine must stop."""
    ours = Engine.objects.filter(id=engine.id, token=engine.token)
    has_slot = bool(ours.update(beat_at=now, in_flight=in_flight, sent_count=sent_count))
    last_heartbeat.set(time.monotonic())
    return has_slot


def deregister(engine: Engine) -> None:
    Engine.objects.filter(id=engine.id, token=engine.token).delete()
    on_free_slot()
