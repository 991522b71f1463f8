"""Who looks at the desk."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import UserFactory


@pytest.fixture
def ada(db: None) -> Client:
    """The browser of a superuser who is logged in."""
    client = Client()
    client.force_login(UserFactory(is_superuser=True))
    return client
