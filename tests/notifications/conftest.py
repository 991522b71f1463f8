"""Twilio, the vendors of other channels, and the task queue, without any of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from notifications.channels import sms as sms_module
from tests.notifications.incidents import TAKEN
from tests.receiver import Receiver, answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to the task queue."""
    tasks_asked: list[str] = []
    monkeypatch.setattr("django_q.tasks.async_task", lambda name, *_: tasks_asked.append(name))
    return tasks_asked


@pytest.fixture
def twilio(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A stub of Twilio's API on a real socket."""
    monkeypatch.setattr(sms_module, "TIMEOUT", 0.5)
    with Receiver() as receiver:
        receiver.script(TAKEN)
        settings.TWILIO_BASE_URL = receiver.url("")
        settings.PUBLIC_URL = "https://desk.example"
        yield receiver


@pytest.fixture
def vendor(settings: Any) -> Iterator[Receiver]:
    """A stub of each vendor's API on a real socket."""
    with Receiver() as receiver:
        receiver.script(answer(200, b"ok"))
        for name in ("SLACK", "PAGERDUTY", "OPSGENIE"):
            setattr(settings, f"{name}_BASE_URL", receiver.url(""))
        settings.PUBLIC_URL = "https://desk.example"
        yield receiver
