"""Turn.io: its webhooks (messages, statuses), and what it asks a custom integration (handshake, context of a chat)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import DocumentError, compact_json, parse_document
from integrations.security.signing import turn_signature
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Taken, json_answer
from integrations.sources.bodies import json_object, text_at, topic_of
from integrations.sources.proofs import check_signature

VERSION = "1.0.0-alpha"
#: Bytes that a handshake has at most. It is looked for before anything is proven.
HANDSHAKE_LIMIT = 10_000
#: What we offer Turn's page of a chat: nothing is drawn there, what it sends becomes events.
CAPABILITIES = {"actions": False, "suggested_responses": False, "context_objects": []}


class TurnSource(SourceKind):
    name = "turn"
    label = "Turn.io"
    description = _(
        "Turn.io's webhooks and custom integrations: messages of a chat, signed; the handshake is answered."
    )
    icon = '<path d="M4 5h16v11H10l-5 4v-4H4z"/>'
    setup = _(
        "In Turn.io, add a webhook or a custom integration with this address. Turn.io then shows a secret: enter it "
        "here. Until then its requests are refused, except for the handshake."
    )
    defaults = {
        "topic": _("message.received, or message.<status>"),
        "object_id": "body.messages[0].id",
        "dedupe": _("the ids of messages and statuses"),
    }
    key_from = "theirs"
    key_style = "turn"

    def probe(self, request: Incoming) -> Answer | None:
        """Turn greets before it shows the secret, so that the handshake cannot be proven."""
        if len(request.body) > HANDSHAKE_LIMIT:
            return None
        try:
            body = parse_document(request.body)
        except DocumentError:
            return None
        if isinstance(body, dict) and body.get("handshake") is True and "messages" not in body:
            return json_answer(200, {"version": VERSION, "capabilities": CAPABILITIES})
        return None

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        names = ("x-turn-hook-signature", "x-turn-hook-signature-previous")
        given = [request.header(name) for name in names]
        check_signature(given, secrets, lambda key: turn_signature(key, request.body), "X-Turn-Hook-Signature")

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        messages, statuses = _objects(body, "messages"), _objects(body, "statuses")
        first = (messages or statuses or [{}])[0]
        ids = [text_at(each, "id") or "" for each in messages]
        ids += [f"{text_at(each, 'id')}:{text_at(each, 'status')}" for each in statuses]
        status = None if messages or not statuses else text_at(first, "status")
        topic = "message.received" if messages else topic_of("message", status) if statuses else None
        # A chat is asked about whenever somebody opens it: only webhooks name each message once.
        is_webhook = "chat" not in body and bool(ids) and all(ids)
        item = Item(
            body=body,
            data=body,
            topic=topic or topic_of(text_at(body, "topic") or text_at(body, "type")) or "turn.received",
            object_type="message" if messages or statuses else None,
            object_id=text_at(first, "id"),
            record=first or body,
            dedupe=",".join(ids) if is_webhook else None,
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        empty: dict[str, Any] = {"context_objects": {}, "suggested_responses": [], "actions": {}}
        context = {"version": VERSION, **empty} if "chat" in json_object(request) else {}
        return json_answer(200, {**context, "accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        message = {
            "from": "16315555555", "id": key, "timestamp": str(int(now.timestamp())),
            "text": {"body": "Hello this is an answer"}, "type": "text",
        }  # fmt: skip
        contact = {"profile": {"name": "Kerry Fisher"}, "wa_id": "16315555555"}
        body = compact_json({"contacts": [contact], "messages": [message]}).encode()
        headers = {"content-type": "application/json", "x-turn-hook-signature": turn_signature(secret, body)}
        return Incoming("POST", url, {**headers, "x-turn-hook-subscription": "whatsapp"}, {}, body, options)


def _objects(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = body.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
