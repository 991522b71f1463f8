"""Endpoints and messages for tests of wire formats and connectors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from integrations.transport.base import Response
from integrations.wire_formats.base import Endpoint, Message

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)
REQUEST_ID = "7353809016b611e6aa08ed65c3040c0f"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def endpoint(**changes: Any) -> Endpoint:
    values: dict[str, Any] = {
        "id": 1,
        "uuid": "8cf3d402-7b25-47fd-8ef2-3e2537fccc14",
        "name": "The shop's receiver",
        "store_id": "st_1",
        "url": "https://receiver.example/hooks",
    }
    return Endpoint(**(values | changes))


def message(data: Any = None, **changes: Any) -> Message:
    """A first attempt of `shipment.updated`; keyword arguments replace fields, `endpoint` may be a dict."""
    to = changes.pop("endpoint", {})
    to = endpoint(**to) if isinstance(to, dict) else to
    values: dict[str, Any] = {
        "endpoint": to,
        "request_id": REQUEST_ID,
        "topic": "shipment.updated",
        "intent": None,
        "object_type": "shipment",
        "data_json": json.dumps({"id": "1", "cost": 5.0} if data is None else data),
        "occurred_at": NOW,
        "attempt_number": 1,
        "first_sent_at": NOW,
        "now": NOW,
        "parameters": to.parameters,
    }
    return Message(**(values | changes))


def ping(**changes: Any) -> Message:
    return message({"message": "hello"}, topic="ping", object_type="ping", is_ping=True, **changes)


def response(status: int = 200, body: Any = b"", **headers: str) -> Response:
    """`body` may be bytes or something for JSON; header names are written with underscores."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), raw)


def headers_of(request: Any) -> dict[str, str]:
    assert len({name for name, _ in request.headers}) == len(request.headers), "a header is there twice"
    return dict(request.headers)
