"""The half of the storage that this run is about."""

from __future__ import annotations

import pytest

from deliveries.storage import Backend, backend


@pytest.fixture
def storage() -> Backend:
    return backend()
