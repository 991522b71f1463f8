"""Engines whose loop the tests run, and what hands deliveries over to them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.runtime.registry import deregister, register
from subscriptions.models import Subscription
from tests.deliveries.dispatch.handing_over import Web
from tests.factories import IntegrationFactory, SubscriptionFactory


class NoWakeups:
    """Takes the place of an engine's listener: the tests say when it works."""

    def start(self) -> None:
        pass

    def consume(self) -> bool:
        return False

    def stop(self) -> None:
        pass


@pytest.fixture
def start_engine(db: None) -> Iterator[Callable[[], DeliveryEngine]]:
    engines: list[DeliveryEngine] = []

    def start() -> DeliveryEngine:
        slot = register(timezone.now())
        assert slot is not None
        engine = DeliveryEngine(slot)
        engine.listener = NoWakeups()  # type: ignore[assignment]
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.born_claimed.stop()
        engine.transport.close()
        deregister(engine.slot)


@pytest.fixture
def subscription(receiver: Any) -> Subscription:
    integration = IntegrationFactory(url=receiver.url(), retry_policy=[60])
    made: Subscription = SubscriptionFactory(integration=integration)
    return made


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this test alone: addresses of engines are those of a host."""
    monkeypatch.setenv("HOOKDESK_HOST", f"host-{uuid.uuid4().hex}")


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.client.close()
    made.run()
    made.loop.close()
