"""The environment that tests run in: loaded by pytest before Django reads its settings, whatever a .env says."""

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest

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


def _with_frames_in_one_block(run: Callable[[], Any]) -> Any:
    """Python 3.11 keeps frames in blocks of 16 kB, and gives the last one back as soon as it is empty. Code whose calls
    happen to cross an end of a block asks the kernel for memory at each call: a test took eight times as long in a
    worker of pytest-xdist as without. The frame of this function is so large that all that it calls fit into its block.
    """
    return run()


_with_frames_in_one_block.__code__ = _with_frames_in_one_block.__code__.replace(co_stacksize=70_000)  # of 131,072 words
_is_inside = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Any:
    """The first of them: calls all the others."""
    global _is_inside
    if _is_inside:
        return None
    _is_inside = True
    return _with_frames_in_one_block(lambda: session.config.hook.pytest_runtestloop(session=session))
