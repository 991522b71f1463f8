"""A client with a token of a store."""

from __future__ import annotations

import pytest

from tests.api_client import ApiClient


@pytest.fixture
def client() -> ApiClient:
    return ApiClient()
