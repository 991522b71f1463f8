"""How fast one store may push (`PUSH_RATE_LIMIT`)."""

from __future__ import annotations

import uuid

from django.conf import settings

from deliveries.ingest.push_rate import take_push
from integrations.api.errors import APIError


def check_rate(store_id: uuid.UUID) -> None:
    """Raises 429 with Retry-After and X-RateLimit-* once the store has used up its requests of this second."""
    limit = settings.PUSH_RATE_LIMIT
    if not limit:
        return
    again_at = take_push(store_id, limit)
    if again_at is None:
        return
    headers = {
        "Retry-After": "1",
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(again_at),
    }
    message = f"This store may push {limit} times per second. Wait a second, or send larger batches."
    raise APIError(429, message, headers=headers)
