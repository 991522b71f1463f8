"""What a receiver could tell two requests of one delivery apart by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deliveries.results.request_changes import SentRequest, request_changes

HEADERS = [["Content-Type", "application/json"], ["webhook-timestamp", "1"], ["webhook-signature", "v1,a"]]
BODY = json.dumps({"shipment": {"id": "1", "phone": "0"}, "delivery_attempts": 1})


def request(**values: Any) -> SentRequest:
    given = {"method": "POST", "url": "https://a.example/x", "headers": HEADERS, "body": BODY} | values
    return SentRequest(**given)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"method": "PUT"}, "Method: POST → PUT"),
        ({"url": "https://b.example/"}, "URL: https://a.example/x → https://b.example/"),
        ({"headers": [*HEADERS, ["X-Shop", "7"]]}, "Header x-shop: new, 7"),
        ({"headers": HEADERS[1:]}, "Header content-type: no longer sent"),
        ({"headers": [["content-type", "text/xml"]]}, "Header content-type: application/json → text/xml"),
        ({"body": json.dumps({"shipment": {"id": "1", "phone": "5"}})}, "Body: Change shipment.phone"),
        ({"body": "<shipment/>"}, "Body: different"),
        ({"body": "x" * 300_000}, "Body: different"),
    ],
)
def test_each_difference_is_named(values: dict[str, Any], words: str) -> None:
    assert any(line.startswith(words) for line in request_changes(request(), request(**values)))


def test_what_differs_every_time_is_none() -> None:
    other = [["content-type", "application/json"], ["Webhook-Timestamp", "2"], ["X-Hub-Signature-256", "b"]]
    again = json.dumps({"shipment": {"id": "1", "phone": "0"}, "delivery_attempts": 2})
    assert request_changes(request(), request(headers=other, body=again)) == []
