"""A morning that programs mend."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.deliveries.recipes.morning import Fleet, fleet, good, spoiled


@pytest.fixture
def world(receiver: Any, deliver: Callable[..., int]) -> Fleet:
    """Eight shipments arrived, six failed for numbers that rules can mend, and one that they cannot."""
    made, rng = fleet(receiver), random.Random(3)
    for number in range(8):
        made.ship(1000 + number, good(rng))
    for number in range(6):
        made.ship(2000 + number, spoiled(good(rng), number))
    made.ship(2006, "call me")
    deliver()
    return made
