"""Twilio's callbacks: forms, signed over the address and their fields with `X-Twilio-Signature`."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from integrations.foundation.languages import gettext_noop as _
from integrations.sources.base import Answer, Incoming, Item, Reading, Rejected, SourceKind, Taken
from integrations.sources.bodies import FORM, as_object, form_pairs, json_body, text_at, topic_of
from integrations.sources.proofs import base64_hmac, is_any, require_secrets

EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'


class TwilioSource(SourceKind):
    name = "twilio"
    label = "Twilio"
    description = _("Incoming messages and calls, and their statuses, from Twilio.")
    icon = '<circle cx="12" cy="12" r="9"/><path d="M9 9h.01M15 9h.01M9 15h.01M15 15h.01"/>'
    setup = _(
        "Copy the account's Auth Token here. In Twilio's console, enter this address at the phone number or the "
        "messaging service: “A message comes in”, or as status callback. The address must be the public one."
    )
    defaults = {
        "topic": _("message.received, message.<status> or call.<status>"),
        "object_id": _("body.MessageSid or body.CallSid"),
        "dedupe": 'headers."i-twilio-idempotency-token"',
    }
    key_from = "theirs"
    key_label = "Auth Token"

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        require_secrets(secrets)
        given, pairs = request.header("x-twilio-signature"), []
        if not given:
            raise Rejected("No signature: the header X-Twilio-Signature is missing.")
        if request.media_type == FORM:
            pairs = form_pairs(request.body)
        else:
            digest = hashlib.sha256(request.body).hexdigest()
            if not hmac.compare_digest(request.query.get("bodySHA256", "").encode(), digest.encode()):
                raise Rejected("The body is not the one whose hash (bodySHA256) is in the signed address.")
        fields = "".join(f"{name}{value}" for name, value in sorted(set(pairs)))
        texts = [(address + fields).encode() for address in _spellings(request.url)]
        if not is_any([given], [base64_hmac(key, text, "sha1") for key in secrets for text in texts]):
            raise Rejected(
                "The signature in X-Twilio-Signature is not what the source's secret makes of the address and the "
                "fields. The address at Twilio must be spelled as here, and PUBLIC_URL be the one that Twilio calls."
            )

    def read(self, request: Incoming) -> Reading:
        body: Any = dict(form_pairs(request.body)) if request.media_type == FORM else json_body(request)
        is_call = text_at(body, "CallSid") is not None
        status = text_at(body, "CallStatus" if is_call else "MessageStatus") or text_at(body, "SmsStatus")
        sid = text_at(body, "CallSid") or text_at(body, "MessageSid") or text_at(body, "SmsSid")
        item = Item(
            body=body,
            data=as_object(body),
            topic=topic_of("call" if is_call else "message", status or "received"),
            object_type="call" if is_call else "message",
            object_id=sid,
            dedupe=request.header("i-twilio-idempotency-token") or None,
        )
        return Reading([item])

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        """An empty document of TwiML: say nothing, do nothing."""
        return Answer(200, EMPTY_TWIML, (("Content-Type", "text/xml"),))

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        fields = {
            "AccountSid": "AC0123456789abcdef0123456789abcdef", "Body": "Ahoy! We can't wait to see what you build.",
            "From": "+14017122661", "MessageSid": f"SM{key}", "SmsStatus": "received", "To": "+15558675310",
        }  # fmt: skip
        signed = url + "".join(f"{name}{value}" for name, value in sorted(fields.items()))
        headers = {"content-type": FORM, "x-twilio-signature": base64_hmac(secret, signed.encode(), "sha1")}
        headers["i-twilio-idempotency-token"] = key
        return Incoming("POST", url, headers, {}, urlencode(fields).encode(), options)


def _spellings(url: str) -> list[str]:
    """Twilio signs the address with its port or without, depending on the product."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    default = {"https": 443, "http": 80}.get(parts.scheme, 0)
    plain = host if parts.port is None else host.rpartition(":")[0]
    hosts = dict.fromkeys([host, f"{plain}:{parts.port or default}", plain])
    return [urlunsplit(parts._replace(netloc=each)) for each in hosts]
