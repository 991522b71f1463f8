"""SMS by Twilio: the request is the one that the `twilio` package makes, sent by Hookdesk's own transport.

Object, as in CenitHub's tutorial: `{"from","phone","message"}` (docs/contract.md#connectors).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from integrations.connectors.base import (
    Parameter,
    base_url,
    connector_secrets,
    nested,
    optional_parameter,
    refusal,
    required_parameter,
    text_of,
)
from integrations.security.signing import SecretStyle
from integrations.transport.base import Request, Response
from integrations.wire_formats.auth import basic
from integrations.wire_formats.base import USER_AGENT, Message, Outcome, PayloadError
from integrations.wire_formats.responses import one_line, parsed_object

VENDOR_URL = "https://api.twilio.com"


class TwilioSms:
    name = "twilio_sms"
    label = "Twilio SMS"
    description = "Sends an SMS by Twilio from an object with from, phone and message."
    default_retry_policy = "standard"
    default_timeout = 30.0
    default_permanent_statuses: frozenset[int] = frozenset()
    signature_style: SecretStyle | None = None
    parameters: tuple[Parameter, ...] = (
        Parameter("account_sid", "Account SID", "Begins with AC; on the first page of Twilio's console."),
        Parameter("auth_token", "Auth token", "Beside the account SID in Twilio's console."),
        Parameter("from", "From", "The sending number, where the object does not name one.", is_required=False),
    )

    def __init__(self, vendor_url: str | None = None) -> None:
        self._vendor_url = vendor_url

    def build(self, message: Message) -> Request:
        account_sid = required_parameter(message, "account_sid")
        auth_token = required_parameter(message, "auth_token")
        sms = None if message.is_ping else _sms(message)
        capture = _Capture()
        client = _client(account_sid, auth_token, capture)
        client.api.base_url = self._vendor_url or base_url("TWILIO_BASE_URL", VENDOR_URL)
        if sms is None:
            client.api.v2010.accounts(account_sid).fetch()
        else:
            client.messages.create(from_=sms["from"], to=sms["phone"], body=sms["message"])
        return _request(message, capture.seen)

    def read(self, message: Message, response: Response) -> Outcome:
        answer = parsed_object(response) or {}
        if 200 <= response.status < 300:
            return Outcome(True, summary=_accepted(message, answer))
        words = answer.get("message")
        if not isinstance(words, str):
            return refusal(message, response, vendor="Twilio")
        code = answer.get("code")
        if isinstance(code, bool) or not isinstance(code, int):
            return refusal(message, response, vendor="Twilio", words=one_line(words))
        told = one_line(f"{words} (Twilio error {code})")
        return refusal(message, response, vendor="Twilio", kind=f"twilio_{code}", words=told)


def _sms(message: Message) -> dict[str, str]:
    """The three fields; `from` may come from the parameters. Raise PayloadError naming what is missing."""
    given = nested(message, "sms")
    sms = {name: text_of(given.get(name)) for name in ("from", "phone", "message")}
    sms["from"] = sms["from"] or optional_parameter(message, "from")
    missing = [name for name, text in sms.items() if not text]
    if missing:
        names = " and no ".join(missing)
        raise PayloadError("payload", f"The SMS has no {names}: Twilio needs from, phone and message.")
    return sms


def _accepted(message: Message, answer: dict[str, Any]) -> str:
    if message.is_ping:
        return "Twilio accepts the credentials."
    sid, status = answer.get("sid"), answer.get("status")
    details = one_line(", ".join(text for text in (sid, status) if isinstance(text, str)))
    return f"SMS handed to Twilio ({details})" if details else "SMS handed to Twilio"


def _request(message: Message, seen: dict[str, Any]) -> Request:
    """What the package would have sent, with our User-Agent (its own client header stays)."""
    data = seen.get("data")
    authorization = basic(":".join(seen["auth"]))
    headers = {**seen["headers"], "User-Agent": USER_AGENT, "Authorization": authorization}
    try:
        body = urlencode(data, doseq=True).encode() if data else b""
    except UnicodeEncodeError as error:
        raise PayloadError("payload", "The SMS holds half a surrogate pair, which is not a character.") from error
    return Request(
        seen["method"],
        seen["url"],
        tuple(headers.items()),
        body,
        message.endpoint.timeout,
        connector_secrets(message, authorization),
    )


class _Capture:
    """Stands where the package has its HTTP client, and keeps the request instead of sending it."""

    is_async = False

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def request(self, method: str, uri: str, **parts: Any) -> SimpleNamespace:
        self.seen = {"method": method, "url": uri, **parts}
        return SimpleNamespace(status_code=201 if method == "POST" else 200, text="{}", headers={})


def _client(account_sid: str, auth_token: str, capture: _Capture) -> Any:
    # Imported on first use: it takes a fifth of a second, which commands need not pay.
    from twilio.rest import Client

    # A dict that is not empty keeps the package from reading TWILIO_EDGE and TWILIO_REGION of this process.
    return Client(account_sid, auth_token, http_client=capture, environment={"TWILIO_EDGE": ""})
