"""Fixtures that several folders share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.migrated import copied_database


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`tests.__main__` finds tests that need a service by what their files name: none may be marked from elsewhere."""
    for item in items:
        for marker in ("postgresql", "redis", "browser"):
            if item.get_closest_marker(marker) and f"pytest.mark.{marker}" not in _source(item.path):
                raise pytest.UsageError(f"{item.nodeid} needs pytest.mark.{marker} in its own file")


@cache
def _source(path: Path) -> str:
    return path.read_text()


@pytest.fixture(scope="session")
def _copy(
    django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None
) -> Iterator[ExitStack]:
    with ExitStack() as copying:
        with django_db_blocker.unblock():
            copying.enter_context(copied_database())
        yield copying


@pytest.fixture(scope="session")
def django_db_setup(_copy: ExitStack, django_db_setup: None, django_db_blocker: Any) -> None:
    """See `tests.migrated`."""
    with django_db_blocker.unblock():
        _copy.close()


@dataclass
class Wakeups:
    """How often engines were woken since the test began, or since `take()`."""

    count: int = 0

    def take(self) -> int:
        """Return the count and reset it."""
        taken, self.count = self.count, 0
        return taken


@pytest.fixture(autouse=True)
def wakeups(monkeypatch: pytest.MonkeyPatch) -> Wakeups:
    """Count wake-ups instead of sending them: tests run the engine themselves, and PostgreSQL's notifying thread would
    outlive its test. A wake-up that is part of the push's own statement (PostgreSQL) is sent, and counted too.
    """
    from deliveries.runtime import notify

    counted = Wakeups()
    is_quiet = notify._notifier.may_notify_inline

    def wake() -> None:
        counted.count += 1

    def may_notify_inline() -> bool:
        is_inline = is_quiet()
        counted.count += is_inline
        return is_inline

    monkeypatch.setattr(notify._notifier, "wake", wake)
    monkeypatch.setattr(notify._notifier, "may_notify_inline", may_notify_inline)
    return counted


@pytest.fixture(autouse=True)
def no_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Public names do not resolve. Hookdesk's own lookups use absolute names, which end in a dot."""
    import socket

    ask = socket.getaddrinfo

    def getaddrinfo(host: object, *rest: object, **named: object) -> object:
        if isinstance(host, str) and host.endswith("."):
            raise socket.gaierror(socket.EAI_NONAME, "tests have no DNS")
        return ask(host, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def ids_of_the_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids only increase within a process: after a test that moved the clock forward, new ids would be in the future."""
    from integrations.foundation import identifiers

    monkeypatch.setattr(identifiers, "_by_clock", identifiers._Sequence())


@pytest.fixture(autouse=True, scope="session")
def no_list_of_static_files() -> None:
    """Each test client creates the middleware, and whitenoise would scan all static files each time."""
    from django.conf import settings

    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True, scope="session")
def quick_password_hashes() -> None:
    """Real ones take a third of a second by design. Installations that tests start have them."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keys of the simulations and bulk resends that a task worker would be asked to run, instead of asking one."""
    from deliveries.replay import runner as replays
    from deliveries.simulation import runner as simulations

    asked: list[Any] = []
    for module in (replays, simulations):
        monkeypatch.setattr(module, "enqueue", asked.append)
    return asked


@pytest.fixture
def receiver() -> Iterator["object"]:
    """A scriptable HTTP server on 127.0.0.1; answers 200 until told otherwise."""
    from tests.receiver import Receiver, answer

    with Receiver() as server:
        server.script(answer(200))
        yield server


@pytest.fixture
def deliver(db: None) -> Iterator[Callable[..., int]]:
    """Run the engine in this thread until nothing is due: `deliver()`, or `deliver(later=timedelta(hours=1))`."""
    import time_machine
    from django.utils import timezone

    from deliveries.dispatch.engine import DeliveryEngine
    from deliveries.runtime.registry import deregister, register

    slot = register(timezone.now())
    assert slot is not None
    engine = DeliveryEngine(slot)

    def until_idle() -> int:
        before = engine.sent_count
        while True:
            engine.cycle()
            if not engine.dispatches and not engine.results:
                return engine.sent_count - before
            engine.collect(5.0)

    def run(later: timedelta | None = None) -> int:
        if later is None:
            return until_idle()
        with time_machine.travel(timezone.now() + later, tick=True):
            return until_idle()

    yield run
    engine.transport.close()
    deregister(slot)
