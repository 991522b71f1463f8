"""What the stories of the five systems share."""

from __future__ import annotations

import pytest

from tests.api_client import ApiClient


@pytest.fixture
def store(db: None) -> ApiClient:
    """A store and its API."""
    return ApiClient()
