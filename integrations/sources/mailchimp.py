"""Mailchimp's audience webhooks: a GET when the address is entered, then forms. They are not signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from integrations.foundation.languages import gettext_noop as _
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Taken
from integrations.sources.bodies import FORM, form_fields, text_at, topic_of
from integrations.sources.proofs import check_token


class MailchimpSource(SourceKind):
    name = "mailchimp"
    label = "Mailchimp"
    description = _("Subscribes, unsubscribes and changes of a Mailchimp audience.")
    icon = '<path d="M3 6h18v12H3z"/><path d="m3 7 9 7 9-7"/>'
    setup = _(
        "In Mailchimp, open the audience → Settings → Webhooks → Create New Webhook and enter this address. Mailchimp "
        "does not sign: the address itself is the secret. With a token set here, add ?token=… to it."
    )
    defaults = {"topic": "body.type", "object_id": "body.data.id", "dedupe": _("a hash of the form")}
    key_from = "none"
    key_label = _("Token")
    methods = ("POST", "GET", "HEAD")

    def probe(self, request: Incoming) -> Answer | None:
        return Answer(200, b"OK", (("Content-Type", "text/plain"),)) if request.method != "POST" else None

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        if secrets:
            check_token([request.query.get("token", "")], secrets, "?token=")

    def read(self, request: Incoming) -> Reading:
        if not request.body.strip():
            return Reading(why="An empty form: Mailchimp checks the address.")
        body = form_fields(request.body)
        kind = text_at(body, "type")
        object_id = text_at(body, "data", "id") or text_at(body, "data", "email")
        data = body.get("data")
        item = Item(body, body, topic_of(kind), object_type="subscriber", object_id=object_id, record=data)
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        return Answer(200, b"OK", (("Content-Type", "text/plain"),))

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        fields = {
            "type": "subscribe", "fired_at": f"{now:%Y-%m-%d %H:%M:%S}", "data[id]": "8a25ff1d98",
            "data[list_id]": "a6b5da1054", "data[email]": "api@mailchimp.com", "data[email_type]": "html",
            "data[merges][EMAIL]": "api@mailchimp.com", "data[merges][FNAME]": "Mailchimp", "data[web_id]": key,
        }  # fmt: skip
        query = {"token": secret} if secret else {}
        address = f"{url}?{urlencode(query)}" if query else url
        return Incoming("POST", address, {"content-type": FORM}, query, urlencode(fields).encode(), options)
