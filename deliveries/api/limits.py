"""How fast one store may push (`PUSH_RATE_LIMIT`, per web process)."""

from __future__ import annotations

import time
import uuid

from django.conf import settings

from integrations.api.errors import APIError

_windows: dict[uuid.UUID, tuple[int, int]] = {}


def check_rate(store_id: uuid.UUID) -> None:
    """Raises 429 with Retry-After and X-RateLimit-* once the store used up its requests of this second."""
    limit = settings.PUSH_RATE_LIMIT
    if not limit:
        return
    second = int(time.time())
    window, used = _windows.get(store_id, (second, 0))
    used = used + 1 if window == second else 1
    _windows[store_id] = (second, used)
    if used > limit:
        headers = {
            "Retry-After": "1",
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(second + 1),
        }
        message = f"This store may push {limit} times a second. Wait a second, or send larger batches."
        raise APIError(429, message, headers=headers)
