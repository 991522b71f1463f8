"""Intercom's notifications: `notification_event` envelopes, signed with `X-Hub-Signature`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import hub_sha1, hub_sha256
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Taken, json_answer
from integrations.sources.bodies import json_object, object_at, text_at, topic_of
from integrations.sources.proofs import check_signature


class NotificationSource(SourceKind):
    name = "notification"
    label = "Intercom"
    description = _("Intercom's notifications, and those of other Hookdesks in the format notification.")
    icon = '<path d="M6 4h12v14l-3-2H6z"/><path d="M9 8h6M9 12h4"/>'
    setup = _(
        "In Intercom's developer hub, enter this address under Webhooks and choose topics. The secret is the app's "
        "client secret, or the hub_secret of a subscription made by the API."
    )
    defaults = {"topic": "body.topic", "object_id": "body.data.item.id", "dedupe": "body.id"}
    key_label = _("Hub secret")
    methods = ("POST", "HEAD")

    def probe(self, request: Incoming) -> Answer | None:
        return Answer(200) if request.method == "HEAD" else None

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        if strong := request.header("x-hub-signature-256"):
            check_signature([strong], secrets, lambda key: hub_sha256(key, request.body), "X-Hub-Signature-256")
        else:
            given = [request.header("x-hub-signature")]
            check_signature(given, secrets, lambda key: hub_sha1(key, request.body), "X-Hub-Signature")

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        topic = text_at(body, "topic")
        if topic == "ping":
            return Reading(why="A ping: the vendor tests the address.")
        item = Item(
            body=body,
            data=body,
            topic=topic_of(topic),
            object_type=text_at(body, "data", "item", "type"),
            object_id=text_at(body, "data", "item", "id"),
            record=object_at(body, "data", "item"),
            dedupe=text_at(body, "id"),
            occurred_at=body.get("created_at"),
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        return json_answer(200, {"accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        item = {"type": "user", "id": "5731e7a3ec06c24bee0000f5", "user_id": "20", "email": "joe@example.com"}
        seconds = int(now.timestamp())
        content = {
            "type": "notification_event", "app_id": "a86dr8yl",
            "data": {"type": "notification_event_data", "item": item}, "links": {}, "id": f"notif_{key}",
            "topic": "user.created", "delivery_status": None, "delivery_attempts": 1, "delivered_at": 0,
            "first_sent_at": seconds, "created_at": seconds, "self": None,
        }  # fmt: skip
        body = compact_json(content).encode()
        headers = {"content-type": "application/json", "x-hub-signature": hub_sha1(secret, body)}
        return Incoming("POST", url, headers, {}, body, options)
