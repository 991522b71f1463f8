"""Intercom's `notification_event` envelope with WebSub signatures (docs/contract.md#notification)."""

from __future__ import annotations

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import hub_sha1, hub_sha256
from integrations.transport.base import Headers, Request, Response
from integrations.wire_formats.base import Message, Outcome, WireFormat
from integrations.wire_formats.post import JSON_HEADERS, event_name, payload_object, post, utf_8
from integrations.wire_formats.responses import read_status


class NotificationFormat(WireFormat):
    name = "notification"
    label = _("Notification")
    description = _("A notification_event envelope with topic and item, signed with X-Hub-Signature, as Intercom's.")
    icon = '<path d="M6 16v-5a6 6 0 0 1 12 0v5l2 2H4zM10 21h4"/>'
    own_headers = ("x-hub-signature",)
    pings_new_subscriptions = True
    default_retry_policy = "once"
    default_timeout = 5.0
    default_permanent_statuses = frozenset({410})
    signature_style = "hub"

    def build(self, message: Message) -> Request:
        body = utf_8(_envelope(message))
        return post(message, body, JSON_HEADERS + _signatures(message.endpoint.secrets, body))

    def read(self, message: Message, response: Response) -> Outcome:
        return read_status(message, response, effect_of_410="deactivate_subscription")


def _envelope(message: Message) -> str:
    """Return the envelope as JSON text, members in the order of Intercom's samples.

    The item is inserted as the payload's own text, so numbers keep their spelling.
    """
    identity = "null" if message.is_ping else compact_json(notification_id(message.request_id))
    return (
        f'{{"type":"notification_event","app_id":{compact_json(message.endpoint.store_id)},'
        f'"data":{{"type":"notification_event_data","item":{_item(message)}}},'
        f'"links":{{}},"id":{identity},"topic":{compact_json(event_name(message))},'
        f'"delivery_status":null,"delivery_attempts":{message.attempt_number},"delivered_at":0,'
        f'"first_sent_at":{int(message.first_sent_at.timestamp())},'
        f'"created_at":{int(message.occurred_at.timestamp())},"self":null}}'
    )


def _item(message: Message) -> str:
    payload = payload_object(message)
    text = message.payload_json.strip()
    if "type" in payload:
        return text
    item_type = "ping" if message.is_ping else message.object_type
    rest = text[1:].lstrip()
    return f'{{"type":{compact_json(item_type)}{"," if payload else ""}{rest}'


def notification_id(request_id: str) -> str:
    """Return `notif_` and the request id in UUID form."""
    if len(request_id) != 32:
        return f"notif_{request_id}"
    parts = (request_id[:8], request_id[8:12], request_id[12:16], request_id[16:20], request_id[20:])
    return "notif_" + "-".join(parts)


def _signatures(secrets: tuple[str, ...], body: bytes) -> Headers:
    """Return the signature headers. Receivers compare the whole value, so each header holds one signature.

    The newest secret signs. During a rotation, headers with the suffix `-Previous` hold the old secret's signatures
    for receivers that have not changed over yet.
    """
    if not secrets:
        return ()
    newest: Headers = (
        ("X-Hub-Signature", hub_sha1(secrets[0], body)),
        ("X-Hub-Signature-256", hub_sha256(secrets[0], body)),
    )
    if len(secrets) == 1:
        return newest
    return (
        *newest,
        ("X-Hub-Signature-Previous", hub_sha1(secrets[1], body)),
        ("X-Hub-Signature-256-Previous", hub_sha256(secrets[1], body)),
    )
