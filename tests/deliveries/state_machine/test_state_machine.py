"""Deliveries as a state machine. `make faults ARGS="-k state_machine"` looks longer, at other sequences each time."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.deliveries.state_machine.machine import DeliveryMachine

pytestmark = pytest.mark.django_db
#: Shrinking a failure takes minutes; MACHINE_SHRINK=1 asks for it.
PHASES = [Phase.generate, *([Phase.shrink] if os.environ.get("MACHINE_SHRINK") == "1" else [])]
COMMON = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": PHASES,
    "report_multiple_bugs": False,
}
EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "500"))


def test_deliveries_keep_their_promises_in_any_sequence_of_operations():
    """The same sequences each time, so that a failure is the change's."""
    run_state_machine_as_test(
        DeliveryMachine, settings=settings(max_examples=16, stateful_step_count=30, derandomize=True, **COMMON)
    )


@pytest.mark.slow
def test_and_in_many_more_sequences():
    run_state_machine_as_test(
        DeliveryMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=80, **COMMON)
    )
