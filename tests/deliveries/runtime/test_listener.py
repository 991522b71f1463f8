"""An engine's listener, in a thread as in an engine, against the database itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection

from deliveries.runtime.listener import WakeupListener
from deliveries.storage.postgresql.wakeups import CHANNEL

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql",
        reason="SQLite's test database is in memory; what waits for a file is tested in test_notify.py",
    ),
]
SECONDS = 20


class Bell:
    """Counts the calls of a listener, which come from its thread."""

    def __init__(self) -> None:
        self._rung = threading.Semaphore(0)

    def ring(self) -> None:
        self._rung.release()

    def was_rung(self, within: float = SECONDS) -> bool:
        return self._rung.acquire(timeout=within)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def listener(db: None, bell: Bell) -> Iterator[WakeupListener]:
    listener = WakeupListener(bell.ring, pause=lambda: 0.0)
    listener.start()
    assert bell.was_rung(), "it calls once it listens, for what came before"
    assert listener.consume()
    yield listener
    listener.stop()
    listener.join(SECONDS)
    assert not listener.is_alive()


def notify() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


def test_a_notice_is_consumed_once(listener: WakeupListener, bell: Bell) -> None:
    assert not listener.consume()
    for _ in range(2):
        notify()
        assert bell.was_rung()
        assert (listener.consume(), listener.consume()) == (True, False)


def test_it_listens_again_after_it_lost_the_database_and_calls_for_what_it_missed(
    listener: WakeupListener, bell: Bell
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert (True,) in cursor.fetchall(), "it had a connection"
    assert bell.was_rung()
    assert listener.consume()
    notify()
    assert bell.was_rung()
    assert listener.consume()
