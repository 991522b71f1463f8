"""Requests as they come in at a source."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from integrations.sources.base import Incoming

URL = "https://hooks.example.com/in/abc"
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def posted(body: Any, headers: dict[str, str] | None = None, **values: Any) -> Incoming:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Incoming(**{"method": "POST", "url": URL, "headers": headers or JSON, "query": {}, "body": raw, **values})


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
