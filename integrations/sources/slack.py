"""Slack: events, interactions and slash commands, signed with `X-Slack-Signature` (`v0`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import DocumentError, compact_json, parse_document
from integrations.sources.base import (
    TOLERANCE_OPTION,
    Answer,
    Incoming,
    Item,
    Reading,
    SourceKind,
    Taken,
    Unreadable,
    json_answer,
)
from integrations.sources.bodies import FORM, as_object, form_fields, json_object, object_at, text_at, topic_of
from integrations.sources.proofs import check_signature, check_time, hex_hmac


class SlackSource(SourceKind):
    name = "slack"
    label = "Slack"
    description = _("Events, buttons and slash commands of a Slack app; the challenge is answered.")
    icon = '<path d="M10 3v18M15 3v18M3 9h18M3 15h18"/>'
    setup = _(
        "Copy the app's signing secret (Basic Information → App Credentials) here first. Then enter this address "
        "under Event Subscriptions, Interactivity or Slash Commands."
    )
    defaults = {
        "topic": _("body.event.type, body.type or slash_command"),
        "data": _("body.event, or the whole body"),
        "dedupe": _("body.event_id or body.trigger_id"),
    }
    key_from = "theirs"
    key_label = _("Signing secret")
    options = (TOLERANCE_OPTION,)

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        sent_at = request.header("x-slack-request-timestamp")
        signed = f"v0:{sent_at}:".encode() + request.body
        given = [request.header("x-slack-signature")]
        check_signature(given, secrets, lambda key: f"v0={hex_hmac(key, signed)}", "X-Slack-Signature")
        check_time(sent_at, "X-Slack-Request-Timestamp", now, request.tolerance)

    def read(self, request: Incoming) -> Reading:
        if request.media_type == FORM:
            return Reading([_of_form(request)])
        body = json_object(request)
        if body.get("type") == "url_verification":
            return Reading(why="The challenge with which Slack checks the address.")
        event = object_at(body, "event")
        item = Item(
            body=body,
            data=as_object(event if event is not None else body),
            topic=topic_of(text_at(event, "type") or text_at(body, "type")),
            object_id=text_at(event, "client_msg_id") or text_at(event, "ts"),
            dedupe=text_at(body, "event_id"),
            occurred_at=body.get("event_time"),
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        if request.media_type == FORM:
            return Answer(200)
        body = json_object(request)
        if body.get("type") == "url_verification":
            return json_answer(200, {"challenge": str(body.get("challenge", ""))})
        return json_answer(200, {"accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        event = {
            "type": "app_mention", "user": "U061F7AUR", "text": "<@U0LAN0Z89> is it everything a river should be?",
            "ts": "1515449522.000016", "channel": "C123ABC456",
        }  # fmt: skip
        seconds = int(now.timestamp())
        content = {"type": "event_callback", "event": event, "event_id": f"Ev{key}", "event_time": seconds}
        body = compact_json(content).encode()
        signature = f"v0={hex_hmac(secret, f'v0:{seconds}:'.encode() + body)}"
        headers = {"content-type": "application/json", "x-slack-request-timestamp": str(seconds)}
        return Incoming("POST", url, headers | {"x-slack-signature": signature}, {}, body, options)


def _of_form(request: Incoming) -> Item:
    """A slash command is the form itself, an interaction is JSON in its field `payload`."""
    form = form_fields(request.body)
    payload = form.get("payload")
    if not isinstance(payload, str):
        return Item(form, form, "slash_command", object_type="slash_command", dedupe=text_at(form, "trigger_id"))
    try:
        body = parse_document(payload.encode())
    except DocumentError as error:
        raise Unreadable(error.message.replace("The body", "The payload"), error.field) from None
    return Item(body, as_object(body), topic_of(text_at(body, "type")), dedupe=text_at(body, "trigger_id"))
