"""Shopify's webhooks: the topic in a header, `X-Shopify-Hmac-Sha256` over the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Taken, Unreadable, json_answer
from integrations.sources.bodies import json_object, text_at, topic_of
from integrations.sources.proofs import base64_hmac, check_signature


class ShopifySource(SourceKind):
    name = "shopify"
    label = "Shopify"
    description = _("Webhooks of a Shopify shop or app: orders, products, customers, fulfilments.")
    icon = '<path d="M5 8h14l1 12H4z"/><path d="M9 8V7a3 3 0 0 1 6 0v1"/>'
    setup = _(
        "In Shopify, go to Settings → Notifications → Webhooks, choose JSON and enter this address. The secret is "
        "shown below the list (“signed with …”); for an app, it is the client secret."
    )
    defaults = {
        "topic": _('headers."x-shopify-topic", as orders.create'),
        "object_id": "body.id",
        "dedupe": 'headers."x-shopify-webhook-id"',
    }
    key_from = "theirs"
    key_label = _("Signing secret")

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        given = [request.header("x-shopify-hmac-sha256")]
        check_signature(given, secrets, lambda key: base64_hmac(key, request.body), "X-Shopify-Hmac-Sha256")

    def read(self, request: Incoming) -> Reading:
        named = request.header("x-shopify-topic")
        if not named:
            raise Unreadable("The header X-Shopify-Topic is missing.", "X-Shopify-Topic")
        body, event_id = json_object(request), request.header("x-shopify-event-id")
        item = Item(
            body=body,
            data=body,
            topic=topic_of(named),
            object_type=topic_of(named.partition("/")[0]),
            object_id=text_at(body, "id"),
            # One event is told once for each topic.
            dedupe=request.header("x-shopify-webhook-id") or (f"{event_id}:{named}" if event_id else None),
            occurred_at=request.header("x-shopify-triggered-at") or None,
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        return json_answer(200, {"accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        order = {
            "id": 820982911946154508, "email": "jon@example.com", "currency": "USD", "total_price": "388.00",
            "financial_status": "voided", "line_items": [{"id": 866550311766439020, "title": "IPod Nano - 8GB"}],
        }  # fmt: skip
        body = compact_json(order).encode()
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": "orders/create",
            "x-shopify-shop-domain": "mystore.myshopify.com",
            "x-shopify-webhook-id": key,
            "x-shopify-hmac-sha256": base64_hmac(secret, body),
        }
        return Incoming("POST", url, headers, {}, body, options)
