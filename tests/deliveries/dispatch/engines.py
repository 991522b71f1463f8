"""What tests of engines do and look at."""

from __future__ import annotations

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.models import Delivery


def finish(*engines: DeliveryEngine) -> None:
    """Until nothing is in dispatch."""
    while any(engine.dispatches or engine.results for engine in engines):
        for engine in engines:
            engine.collect(0.05)
            engine.cycle()


def outcomes(delivery: Delivery) -> list[str]:
    return list(delivery.attempts.order_by("number").values_list("outcome", flat=True))
