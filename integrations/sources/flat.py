"""Sarufi and other chatbots: one flat JSON object, proven by a shared token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.sources.base import Answer, Incoming, Item, Reading, Rejected, SourceKind, Taken, json_answer
from integrations.sources.bodies import json_object, text_at
from integrations.sources.hub import check_shared_token
from integrations.sources.proofs import basic_credentials, check_token


class FlatSource(SourceKind):
    name = "flat"
    label = _("Flat JSON")
    description = _("One JSON object without an envelope, as Sarufi's chatbots send it, proven by a shared token.")
    icon = '<path d="M8 5c-3 0-1 6-4 7 3 1 1 7 4 7M16 5c3 0 1 6 4 7-3 1-1 7-4 7"/>'
    setup = _(
        "Enter this address as the webhook. Senders that can set a header send the token as Authorization: Bearer; "
        "for others, such as Sarufi, add ?token=…&intent=… to the address."
    )
    defaults = {"intent": _("query.intent, or body.intent"), "topic": _("flat.received where there is no intent")}
    key_label = _("Token")

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        if credentials := basic_credentials(request):
            user, _, password = credentials.partition(":")
            check_token([credentials, password or user], secrets, "Authorization: Basic")
        else:
            try:
                check_shared_token(request, secrets)
            except Rejected as error:
                raise Rejected(error.reason.replace("Bearer", "Bearer or Basic")) from None

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        intent = request.query.get("intent") or text_at(body, "intent")
        topic = None if intent else "flat.received"
        return Reading([Item(body, body, topic, intent, object_id=text_at(body, "id"))])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        return json_answer(202, {"accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        content = {
            "number_of_pizzas": "1", "pizza_toppings": "chicken", "address": "Mikocheni", "phone_number": "0712345678",
            "choice_confirmation": "1", "message_id": key,
        }  # fmt: skip
        headers = {"content-type": "application/json", "authorization": f"Bearer {secret}"}
        query = {"intent": "order_pizza"}
        return Incoming("POST", f"{url}?intent=order_pizza", headers, query, compact_json(content).encode(), options)
