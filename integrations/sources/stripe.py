"""Stripe's events: `Stripe-Signature` over time and body, within a tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.sources.base import (
    TOLERANCE_OPTION,
    Answer,
    Incoming,
    Item,
    Reading,
    SourceKind,
    Taken,
    json_answer,
)
from integrations.sources.bodies import as_object, json_object, object_at, text_at, topic_of
from integrations.sources.proofs import check_signature, check_time, hex_hmac


class StripeSource(SourceKind):
    name = "stripe"
    label = "Stripe"
    description = _("Events of a Stripe account, such as payments, invoices and subscriptions.")
    icon = '<rect x="3" y="6" width="18" height="12" rx="2"/><path d="M3 10h18M7 14h3"/>'
    setup = _(
        "In Stripe's Workbench, go to Webhooks → Add destination, choose events and enter this address. Stripe then "
        "shows the signing secret (whsec_…): enter it here."
    )
    defaults = {
        "topic": "body.type",
        "data": "body.data.object",
        "object_id": "body.data.object.id",
        "dedupe": "body.id",
    }
    key_from = "theirs"
    key_label = _("Signing secret")
    options = (TOLERANCE_OPTION,)

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        pairs = [part.strip().partition("=") for part in request.header("stripe-signature").split(",")]
        signatures = [value for name, _, value in pairs if name == "v1"]
        times = [value for name, _, value in pairs if name == "t"]
        sent_at = times[0] if times else ""
        signed = f"{sent_at}.".encode() + request.body
        check_signature(signatures, secrets, lambda key: hex_hmac(key, signed), "Stripe-Signature")
        check_time(sent_at, "Stripe-Signature", now, request.tolerance)

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        subject = object_at(body, "data", "object")
        item = Item(
            body=body,
            # Thin events have no object in them: the whole event, then.
            data=as_object(subject if subject is not None else body),
            topic=topic_of(text_at(body, "type")),
            object_type=topic_of(text_at(subject, "object")),
            object_id=text_at(subject, "id"),
            dedupe=text_at(body, "id"),
            occurred_at=body.get("created"),
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        return json_answer(200, {"received": True, "accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        subject = {"id": "cus_NffrFeUfNV2Hib", "object": "customer", "email": "jennyrosen@example.com", "balance": 0}
        seconds = int(now.timestamp())
        content = {
            "id": f"evt_{key}", "object": "event", "api_version": "2024-06-20", "created": seconds,
            "data": {"object": subject}, "livemode": False, "pending_webhooks": 1, "type": "customer.created",
        }  # fmt: skip
        body = compact_json(content).encode()
        signature = hex_hmac(secret, f"{seconds}.".encode() + body)
        headers = {"content-type": "application/json", "stripe-signature": f"t={seconds},v1={signature}"}
        return Incoming("POST", url, headers, {}, body, options)
