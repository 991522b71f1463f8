"""The environment that tests run in: loaded by pytest before Django reads its settings, whatever a .env says."""

import gc
import os
from typing import Any

import pytest

from integrations.foundation.frame_block import in_one_block

# Tests allocate much and keep little: with Python's default of 700, a tenth of their time went into collecting.
gc.set_threshold(50_000, 20, 50)

os.environ.update(
    DEBUG="false",
    ENV_FILE="/dev/null",
    SECRET_KEY="a-secret-key-for-tests-that-is-long-enough-for-the-checks",
    ENCRYPTION_KEYS="a-passphrase-for-the-tests",
    OUTBOUND_ALLOW="127.0.0.0/8,::1/128",
    RETRY_JITTER="0",
)


_is_inside = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Any:
    """The first of them: calls all the others, whose tests otherwise cost up to eight times as much (see there)."""
    global _is_inside
    if _is_inside:
        return None
    _is_inside = True
    return in_one_block(lambda: session.config.hook.pytest_runtestloop(session=session))
