"""Two people of the staff."""

from __future__ import annotations

import pytest

from integrations.foundation.audit import Actor
from tests.factories import UserFactory


@pytest.fixture
def ada() -> Actor:
    return Actor.of_user(UserFactory(username="ada"))


@pytest.fixture
def bob() -> Actor:
    return Actor.of_user(UserFactory(username="bob"))
