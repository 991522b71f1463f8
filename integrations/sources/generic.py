"""Any other sender: how it proves itself, and what is in its requests, are fields of the source."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import generate_secret
from integrations.sources.base import TOLERANCE_OPTION, Incoming, Item, Option, Reading, Rejected, SourceKind
from integrations.sources.bodies import FORM, as_object, form_fields, json_body, text_at, topic_of
from integrations.sources.proofs import (
    base64_hmac,
    basic_credentials,
    bearer_token,
    check_signature,
    check_time,
    check_token,
    hex_hmac,
)
from integrations.sources.xml_document import from_xml

PROOFS = ("hmac", "token", "bearer", "basic", "mtls", "none")
ALGORITHMS = ("sha256", "sha1", "sha512")
ENCODINGS = ("hex", "base64")
#: Where a proof is looked for unless the option `header` names another place.
HEADERS = {"hmac": "X-Signature", "token": "X-Token", "mtls": "X-Client-Cert-Fingerprint"}
#: What is signed unless the option `signed` says otherwise.
SIGNED, SIGNED_WITH_TIME = "{body}", "{timestamp}.{body}"


class GenericSource(SourceKind):
    name = "generic"
    label = _("Any other sender")
    description = _(
        "JSON, forms or XML from anything that can post, proven by HMAC, token, basic, or a proxy's mTLS header."
    )
    setup = _("Enter this address at the sender, and give both sides the same secret.")
    defaults = {
        "topic": _("body.topic, body.type or body.event, else generic.received"),
        "object_id": "body.id",
        "dedupe": _("Idempotency-Key, else a hash of the body"),
    }
    options = (
        Option("proof", _("Proof"), _("How requests prove where they come from."), PROOFS),
        Option("header", _("Header"), _("The header that carries the signature, the token or the fingerprint.")),
        Option("algorithm", _("Algorithm"), _("Of the HMAC; sha256 by default."), ALGORITHMS),
        Option("encoding", _("Encoding"), _("Of the signature; hex by default."), ENCODINGS),
        Option("prefix", _("Prefix"), _("Stands before the signature or the token, such as sha256= or “Bearer ”.")),
        Option("timestamp_header", _("Time stamp header"), _("Unix seconds, signed too: {timestamp}.{body}.")),
        Option(
            "signed", _("Signed text"), _("What is signed, of {timestamp}, {url} and {body}, if it is something else.")
        ),
        TOLERANCE_OPTION,
    )

    def new_secret(self, options: Mapping[str, Any]) -> str | None:
        if _proof(options) in ("none", "mtls"):
            return None
        return f"hookdesk:{generate_secret('hub')}" if _proof(options) == "basic" else generate_secret("hub")

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        proof = _proof(request.options)
        name = str(request.options.get("header") or HEADERS.get(proof, "Authorization"))
        if proof == "hmac":
            _check_hmac(request, secrets, now, name)
        elif proof == "token":
            check_token([_behind(request.header(name), request.options)], secrets, name)
        elif proof == "bearer":
            check_token([bearer_token(request)], secrets, "Authorization: Bearer")
        elif proof == "basic":
            credentials = basic_credentials(request)
            # The secret is user:password, or the password alone.
            check_token([credentials, credentials.partition(":")[2]], secrets, "Authorization: Basic")
        elif proof == "mtls":
            if not request.is_from_proxy:
                raise Rejected(f"{name} counts only from a proxy in TRUSTED_PROXIES.")
            check_token([_behind(request.header(name), request.options)], secrets, name)

    def read(self, request: Incoming) -> Reading:
        body = _body(request)
        topic = next((found for name in ("topic", "type", "event") if (found := text_at(body, name))), None)
        item = Item(
            body=body,
            data=as_object(body),
            topic=topic_of(topic) or "generic.received",
            object_id=text_at(body, "id"),
            dedupe=request.header("idempotency-key") or None,
        )
        return Reading([item])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        body = compact_json({"type": "order.created", "id": key, "total": 12.5}).encode()
        headers = {"content-type": "application/json", **_proven(secret, url, options, now, body)}
        return Incoming("POST", url, headers, {}, body, options, is_from_proxy=True)


def _proof(options: Mapping[str, Any]) -> str:
    return str(options.get("proof") or "hmac")


def _behind(value: str, options: Mapping[str, Any]) -> str:
    """The value without the prefix; nothing where it does not begin with it."""
    prefix = str(options.get("prefix") or "")
    # The blank at the end of “Bearer ” may have been cut off together with an empty token.
    return value[len(prefix) :] if value.startswith(prefix) else ""


def _check_hmac(request: Incoming, secrets: Sequence[str], now: datetime, name: str) -> None:
    given, sent_at = _behind(request.header(name), request.options), ""
    time_header = str(request.options.get("timestamp_header") or "")
    if time_header:
        sent_at = request.header(time_header)
    signed = _signed(request.options, sent_at, request.url, request.body)
    if str(request.options.get("encoding") or "hex") == "hex":
        given = given.lower()
    check_signature([given], secrets, lambda key: _signature(key, signed, request.options), name)
    if time_header:
        check_time(sent_at, time_header, now, request.tolerance)


def _signed(options: Mapping[str, Any], sent_at: str, url: str, body: bytes) -> bytes:
    template = str(options.get("signed") or (SIGNED_WITH_TIME if options.get("timestamp_header") else SIGNED))
    text = template.replace("{timestamp}", sent_at).replace("{url}", url)
    before, marker, after = text.partition("{body}")
    return before.encode() + (body if marker else b"") + after.encode()


def _signature(key: str, signed: bytes, options: Mapping[str, Any]) -> str:
    make = base64_hmac if options.get("encoding") == "base64" else hex_hmac
    return make(key, signed, str(options.get("algorithm") or "sha256"))


def _proven(secret: str, url: str, options: Mapping[str, Any], now: datetime, body: bytes) -> dict[str, str]:
    """The headers with which a sender of ours would prove this body."""
    proof, prefix, seconds = _proof(options), str(options.get("prefix") or ""), str(int(now.timestamp()))
    name = str(options.get("header") or HEADERS.get(proof, "Authorization")).lower()
    if proof == "hmac":
        signature = _signature(secret, _signed(options, seconds, url, body), options)
        stamp = str(options.get("timestamp_header") or "")
        return {name: prefix + signature} | ({stamp.lower(): seconds} if stamp else {})
    if proof == "bearer":
        return {"authorization": f"Bearer {secret}"}
    if proof == "basic":
        return {"authorization": "Basic " + binascii.b2a_base64(secret.encode(), newline=False).decode()}
    return {} if proof == "none" else {name: prefix + secret}


def _body(request: Incoming) -> Any:
    if not request.body.strip():
        return {}
    if request.media_type == FORM:
        return form_fields(request.body)
    if request.media_type.endswith("xml"):
        return from_xml(request.body)[1]
    return json_body(request)
