"""A web process's half of a handover, and an engine's loop, each of which runs when the test says so."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.models import Delivery
from deliveries.runtime.handover_client import HandoverClient
from deliveries.storage import backend
from deliveries.storage.rows.pushes import WaitingPush
from subscriptions.models import Subscription
from tests.deliveries.storage.pushes import a_push
from tests.factories import DeliveryFactory


class Web:
    """A web process's half. Its loop runs when the test says so."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.released: list[Any] = []
        self.client = HandoverClient(self.loop, release=self.released.extend, on_offer=lambda: None)

    def run(self, seconds: float = 0.02) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def connect(self) -> None:
        """It looks for engines once a second."""
        self.client._connect()
        self.run()

    def claim(self, push: WaitingPush) -> Any:
        found = self.client.claim(push.rows)
        self.run()
        return found

    def hand_over(self, push: WaitingPush, born: Any) -> None:
        """The push is written and handed over, if an engine has room."""
        announce = partial(self.client.announce, [(push.rows, born)] if born is not None else [])
        assert backend().write_pushes([push], meanwhile=announce) == [None]
        if born is not None:
            self.client.conclude([(born, True)])
            self.client.settle(born)
        self.run()

    def push(self, subscription: Subscription) -> WaitingPush:
        push = a_push(subscription)
        self.hand_over(push, self.claim(push))
        return push


def turn(engine: DeliveryEngine) -> None:
    """The engine's loop until nothing is under way, and a second later for its reservations."""
    engine._receive_handovers()
    until = time.monotonic() + 10
    while engine.dispatches or engine.results:
        assert time.monotonic() < until
        engine.collect(0.05)
        if engine.results:
            engine.cycle()
    engine.born_claimed._updated_at -= 1.0
    engine.born_claimed.update(timezone.now())


def open_up(engine: DeliveryEngine, web: Web, subscription: Subscription) -> None:
    """Connected, and an answer has shown that the integration works: the next push may be handed over."""
    web.connect()
    engine.born_claimed.receive(timezone.now())
    DeliveryFactory(subscription=subscription)
    engine.cycle()
    turn(engine)
    DeliveryFactory(subscription=subscription)
    engine.claim_at = 0.0
    engine.cycle()
    turn(engine)
    web.run()


def delivery_of(push: WaitingPush) -> Delivery:
    (row,) = push.rows.deliveries
    return Delivery.objects.get(id=row.id)


def count_calls(monkeypatch: pytest.MonkeyPatch, target: Any, name: str) -> list[Any]:
    """What the method is called with from here on; it works as before."""
    calls: list[Any] = []
    method = getattr(target, name)

    def called(*args: Any) -> Any:
        calls.append(args)
        return method(*args)

    monkeypatch.setattr(target, name, called)
    return calls
