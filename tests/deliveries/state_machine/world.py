"""A store with its integrations, two engines and a clock that only the machine moves; rolled back at the end."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import time_machine
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from deliveries.dispatch import pacing
from deliveries.dispatch.engine import DeliveryEngine
from deliveries.ingest import publish_events, push_objects
from deliveries.maintenance import periodic
from deliveries.models import Attempt, Delivery, Engine, Record
from deliveries.runtime.clock_jump import ClockJumpDetector
from deliveries.runtime.registry import register
from integrations.foundation import identifiers
from integrations.foundation.audit import Actor
from integrations.models import Integration, Store
from integrations.security.tokens import Principal, authenticate, create_token
from subscriptions.models import Subscription
from subscriptions.services import create_subscription
from tests.deliveries.state_machine.wire import Wire, put_before
from tests.factories import IntegrationFactory, SecretFactory, StoreFactory

#: Every example begins here; ids sort by time, so that the sequence of ids begins anew with it.
START = datetime(2025, 3, 1, 12, tzinfo=UTC)


class World:
    """What the machine's rules act on."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(transaction.atomic())
        self._stack.callback(transaction.set_rollback, True)
        self._random = random.Random(1)
        self._traveller = time_machine.travel(START, tick=False)
        self._coordinates = self._traveller.start()
        self._stack.callback(self._give_the_clock_back)
        self._sequence, identifiers._by_clock = identifiers._by_clock, identifiers._Sequence()
        pacing.written_health.clear()  # of integrations that were rolled back, whose ids come again
        self._stack.enter_context(patch("uuid.uuid4", self._uuid4))
        self.wire = Wire()
        self.store: Store = StoreFactory()
        _, self.token = create_token(store=self.store, name="machine", scopes=("push", "manage"))
        users = get_user_model().objects
        self.staff = [Actor.of_user(users.create(username=name, is_staff=True)) for name in ("ada", "grace")]
        self.integrations = self._make_integrations()
        self.subscriptions: list[Subscription] = []
        plain, ordered, hub = self.integrations
        self.subscribe(plain, ["thing.*", "echo.*"])
        self.subscribe(plain, ["thing.made", "note.*"])
        self.subscribe(ordered, ["thing.*", "echo.*"], is_ordered=True)
        self.subscribe(hub, ["thing.*", "echo.*"])
        self.engines: list[DeliveryEngine] = []
        for _ in range(2):
            self.start_engine()

    def _uuid4(self) -> uuid.UUID:
        """The same ones in each example: what sorts by them would otherwise make a failure one that comes and goes."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def close(self) -> None:
        # In reverse: the clock, then the rollback is ordered, then the transaction ends.
        self._stack.close()

    def _give_the_clock_back(self) -> None:
        identifiers._by_clock = self._sequence
        self._traveller.stop()

    # --- what there is ----------------------------------------------------------------------------------

    def _make_integrations(self) -> list[Integration]:
        made: list[Integration] = []
        for name, values in (
            ("plain", {"retry_policy": [5, 60], "timeout": 2}),
            ("ordered", {"retry_policy": [5], "timeout": 2}),
            ("hub", {"retry_policy": [5, 60], "timeout": 2, "wire_format": "hub", "permanent_statuses": []}),
        ):
            permanent = {"permanent_statuses": [400, 410, 413, 422]} if name != "hub" else {}
            made.append(IntegrationFactory(store=self.store, name=name, slug=name, **permanent | values))
        SecretFactory(integration=made[0])
        return made

    def subscribe(self, integration: Integration, topics: Sequence[str], *, is_ordered: bool = False) -> Subscription:
        made = create_subscription(
            store=self.store,
            actor=self.staff[0],
            integration=integration,
            topics=list(topics),
            is_ordered=is_ordered,
        )
        self.subscriptions.append(made)
        return made

    def alive_subscriptions(self) -> list[Subscription]:
        mine = Subscription.objects.filter(store=self.store, deleted_at=None, integration__deleted_at=None)
        return list(mine.select_related("integration").order_by("created_at", "id"))

    def interested(self, topic: str) -> set[uuid.UUID]:
        """Which subscriptions must get an event of `topic` that happens now."""
        return {
            one.id
            for one in self.alive_subscriptions()
            if one.is_active and any(pattern == topic or _covers(pattern, topic) for pattern in one.topics)
        }

    def records(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows = Record.objects.filter(store=self.store).values_list("type", "external_id", "data")
        return {(kind, key): data for kind, key, data in rows}

    # --- pushing ----------------------------------------------------------------------------------------

    def _principal(self) -> Principal:
        principal = authenticate(store_id=self.store.id, token=self.token)
        assert principal is not None
        return principal

    def push(self, document: Any, key: str | None = None) -> Any:
        return push_objects(principal=self._principal(), document=document, raw=json.dumps(document).encode(), key=key)

    def publish(self, document: Any, key: str | None = None) -> Any:
        raw = json.dumps(document).encode()
        return publish_events(principal=self._principal(), document=document, raw=raw, key=key)

    # --- time and engines -------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        self._coordinates.shift(timedelta(seconds=seconds))
        for engine in self.engines:
            engine.clock = ClockJumpDetector()  # time passes, nobody sets the clock

    def sweep(self) -> None:
        periodic._swept_at = None
        periodic.run_periodic(timezone.now())

    def start_engine(self) -> DeliveryEngine:
        slot = register(timezone.now())
        assert slot is not None
        engine = DeliveryEngine(slot)
        put_before(engine, self.wire)
        self.engines.append(engine)
        return engine

    def kill_engine(self, number: int) -> None:
        """With all that it has claimed and heard; another one takes its slot."""
        dead = self.engines.pop(number)
        Engine.objects.filter(id=dead.slot.id).delete()
        self.start_engine()

    def cycle(self, engine: DeliveryEngine) -> None:
        """One transaction of the engine, and what it sends after it."""
        recorded: set[Any] = {result.claimed.attempt_id for result in engine.results}
        landed = [one for one in self.wire.flying if one.key in recorded]
        held: dict[Any, bool] = {one.key: self.wire.holds_lease(one) for one in landed}
        self.wire.flying = [one for one in self.wire.flying if one.key not in recorded]
        engine.cycle()
        left = {result.claimed.attempt_id for result in engine.results} & recorded
        self.wire.flying += [one for one in landed if one.key in left]
        for one in landed:
            outcome = Attempt.objects.filter(delivery=one.delivery_id, number=one.number).values_list("outcome").first()
            if one.key in left or outcome is None:  # of one that was pruned
                continue
            wanted = ("succeeded", "failed") if held[one.key] else ("late",)
            assert outcome[0] in wanted, (
                f"attempt {one.number} of {one.delivery_id} ended as {outcome[0]}; its lease"
                f" {'held' if held[one.key] else 'was gone'}"
            )

    def delivery(self, key: uuid.UUID) -> Delivery:
        return Delivery.objects.select_related("event", "integration", "subscription").get(id=key)


def and_what_follows() -> Any:
    """Within it, what is to happen after a commit happens: here nothing is ever committed."""
    return TestCase.captureOnCommitCallbacks(execute=True)


def _covers(pattern: str, topic: str) -> bool:
    return pattern.endswith(".*") and topic.startswith(pattern[:-1])
