"""What the machine's rules stand on: a step, and the checks after it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError
from hypothesis.stateful import RuleBasedStateMachine

from deliveries.models import Delivery
from deliveries.resolution import ResolutionError
from tests.deliveries.state_machine.invariants import Invariants, State
from tests.deliveries.state_machine.world import World


class CheckedMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.promises = Invariants(self.world.wire)
        self.state = State.read()
        self.pushed = 0
        self.keys: dict[str, Any] = {}
        self.is_sound = True

    def _step(self, act: Callable[[], Any], *, is_by_staff: bool = False, may_refuse: bool = False) -> Any:
        """Do it, then check everything. What is refused must have changed nothing."""
        self.is_sound = False
        before, done = self.state, None
        try:
            done = act()
        except (ResolutionError, ValidationError):
            assert may_refuse
            self.state = State.read()
            assert self.state == before, "what was refused has changed something"
        else:
            self.state = State.read()
            self._expect_echoes()
        self.promises.check(before, self.state, is_by_staff=is_by_staff)
        self.is_sound = True
        return done

    def _expect_echoes(self) -> None:
        """What receivers push back goes to everybody but to whom it came from."""
        for key, event in self.state.events.items():
            if event["origin"] == "pushback" and key not in self.promises.expected:
                source = Delivery.objects.get(id=uuid.UUID(event["data"]["by"])).subscription_id
                assert source is not None
                self.promises.expected[key] = self.world.interested(event["topic"]) - {source}
