"""CloudEvents over HTTP (https://cloudevents.io): binary, structured and batched; the OPTIONS handshake is answered."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Unreadable
from integrations.sources.bodies import as_object, json_body, text_at, topic_of
from integrations.sources.hub import check_shared_token

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
REQUIRED = ("specversion", "id", "source", "type")
BATCH_LIMIT = 1_000


class CloudEventsSource(SourceKind):
    name = "cloudevents"
    label = "CloudEvents"
    description = _("Events of Knative, Azure Event Grid, Google Eventarc and whatever else speaks CloudEvents 1.0.")
    icon = '<path d="M7 18a4 4 0 0 1-.5-8A6 6 0 0 1 18 9.5 4.3 4.3 0 0 1 17 18z"/>'
    setup = _(
        "Enter this address as the sink, or the webhook, of the events. Send the token as Authorization: Bearer, or "
        "add ?token=… to the address."
    )
    defaults = {
        "topic": "body.type",
        "data": "body.data",
        "object_id": "body.subject",
        "dedupe": _("body.source and body.id"),
    }
    key_label = _("Token")
    methods = ("POST", "OPTIONS")

    def probe(self, request: Incoming) -> Answer | None:
        """The handshake of the webhook specification: who asks may send, as fast as it likes."""
        if request.method != "OPTIONS":
            return None
        origin = request.header("webhook-request-origin")
        if not origin:
            raise Unreadable("The header WebHook-Request-Origin is missing.", "WebHook-Request-Origin")
        rate = request.header("webhook-request-rate")
        allowed = (("Allow", "POST"), ("WebHook-Allowed-Origin", origin))
        return Answer(200, b"", (*allowed, ("WebHook-Allowed-Rate", rate if rate.isdecimal() else "*")))

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        check_shared_token(request, secrets)

    def read(self, request: Incoming) -> Reading:
        if request.media_type == BATCH:
            events = json_body(request)
            if not isinstance(events, list) or len(events) > BATCH_LIMIT:
                raise Unreadable(f"A batch is an array of up to {BATCH_LIMIT:,} events.")
            return Reading([_item(event, f"[{index}].") for index, event in enumerate(events)], "An empty batch.")
        event = json_body(request) if request.media_type == STRUCTURED else _of_headers(request)
        return Reading([_item(event, "")])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        content = {
            "specversion": "1.0", "type": "com.github.pull_request.opened", "id": key, "time": now.isoformat(),
            "source": "https://github.com/cloudevents/spec/pull", "subject": "123",
            "datacontenttype": "application/json", "data": {"title": "Fix a typo", "number": 123},
        }  # fmt: skip
        headers = {"content-type": STRUCTURED, "authorization": f"Bearer {secret}"}
        return Incoming("POST", url, headers, {}, compact_json(content).encode(), options)


def _of_headers(request: Incoming) -> dict[str, Any]:
    """Binary mode: attributes are headers, percent-encoded; the body is the data as it is."""
    found: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in request.headers.items() if name.startswith("ce-")
    }
    if "specversion" not in found:
        raise Unreadable("This is no CloudEvent: the header ce-specversion is missing.", "ce-specversion")
    kind = request.media_type
    if kind:
        found["datacontenttype"] = kind
    if not request.body:
        return found
    if kind in ("", "application/json") or kind.endswith("+json"):
        return found | {"data": json_body(request)}
    try:
        return found | {"data": _without_nul(request.body.decode())}
    except UnicodeDecodeError:
        return found | {"data_base64": binascii.b2a_base64(request.body, newline=False).decode("ascii")}


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise Unreadable("The data contains a NUL character. Remove it.")
    return text


def _item(event: Any, path: str) -> Item:
    if not isinstance(event, dict):
        raise Unreadable("An event must be a JSON object.", path.rstrip(".") or None)
    for name in REQUIRED:
        if text_at(event, name) is None:
            raise Unreadable(f"The attribute {name} is missing.", f"{path}{name}")
    if event["specversion"] != "1.0":
        raise Unreadable("Only CloudEvents 1.0 are understood.", f"{path}specversion")
    encoded = {"data_base64": event["data_base64"]} if "data_base64" in event else {}
    data = event.get("data")
    return Item(
        body=event,
        data=encoded or ({} if data is None else as_object(data)),
        topic=topic_of(text_at(event, "type")),
        object_id=text_at(event, "subject") or text_at(data, "id"),
        dedupe=compact_json([event["source"], event["id"]]),
        occurred_at=event.get("time"),
    )
