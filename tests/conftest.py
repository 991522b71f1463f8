"""Settings that every test runs under; fixtures that several folders share."""

import os

os.environ.setdefault("DEBUG", "false")
os.environ.setdefault("SECRET_KEY", "a-secret-key-for-tests-that-is-long-enough-for-the-checks")
os.environ.setdefault("ENCRYPTION_KEYS", "a-passphrase-for-the-tests")
os.environ.setdefault("OUTBOUND_ALLOW", "127.0.0.0/8,::1/128")
os.environ.setdefault("RETRY_JITTER", "0")
os.environ.setdefault("ENV_FILE", "/dev/null")

from collections.abc import Callable, Iterator  # noqa: E402
from datetime import timedelta  # noqa: E402

import pytest  # noqa: E402


@pytest.fixture()
def receiver() -> Iterator["object"]:
    """A scriptable HTTP server on 127.0.0.1; answers 200 until told otherwise."""
    from tests.receiver import Receiver, answer

    with Receiver() as server:
        server.script(answer(200))
        yield server


@pytest.fixture()
def deliver(db: None) -> Iterator[Callable[..., int]]:
    """Run the engine in this thread until nothing is due: `deliver()`, or `deliver(later=timedelta(hours=1))`."""
    import time_machine
    from django.utils import timezone

    from deliveries.engine.control import leave, take_slot
    from deliveries.engine.engine import DeliveryEngine

    slot = take_slot(timezone.now())
    assert slot is not None
    engine = DeliveryEngine(slot)

    def until_idle() -> int:
        before = engine.sent_count
        while True:
            engine.cycle()
            if not engine.flights and not engine.landings:
                return engine.sent_count - before
            engine.collect(5.0)

    def run(later: timedelta | None = None) -> int:
        if later is None:
            return until_idle()
        with time_machine.travel(timezone.now() + later, tick=True):
            return until_idle()

    yield run
    engine.transport.close()
    leave(slot)
