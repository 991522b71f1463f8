"""Rows written when attempts have ended."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, NamedTuple

from deliveries.storage.arrays import BIG_NUMBER, BYTES, FLAG, KEY, NUMBER, TEXT, TIME


class EndedAttempt(NamedTuple):
    """An attempt with its request and its result. `response_headers` is None if there was no response."""

    id: Annotated[uuid.UUID, KEY]
    delivery_id: Annotated[uuid.UUID, KEY]
    number: Annotated[int, NUMBER]
    trigger: Annotated[str, TEXT]
    revision: Annotated[int, NUMBER]
    started_at: Annotated[datetime, TIME]
    outcome: Annotated[str, TEXT]
    duration_ms: Annotated[int | None, NUMBER] = None
    error_kind: Annotated[str, TEXT] = ""
    error_message: Annotated[str, TEXT] = ""
    summary: Annotated[str, TEXT] = ""
    method: Annotated[str, TEXT] = ""
    url: Annotated[str, TEXT] = ""
    request_headers: Annotated[str, TEXT] = "[]"
    request_body: Annotated[bytes, BYTES] = b""
    is_body_encrypted: Annotated[bool, FLAG] = False
    response_status: Annotated[int | None, NUMBER] = None
    response_headers: Annotated[str | None, TEXT] = None
    response_body: Annotated[bytes | None, BYTES] = None
    is_response_truncated: Annotated[bool, FLAG] = False


class RecordedDelivery(NamedTuple):
    """The new state of the delivery `id`. Written only if it still has this `lease`, which ends then."""

    status: Annotated[str, TEXT]
    due_at: Annotated[datetime | None, TIME]
    retry_count: Annotated[int, NUMBER]
    last_status: Annotated[int | None, NUMBER]
    last_error: Annotated[str, TEXT]
    failure_group_id: Annotated[int | None, BIG_NUMBER]
    finished_at: Annotated[datetime | None, TIME]
    id: Annotated[uuid.UUID, KEY]
    lease: Annotated[uuid.UUID, KEY]
