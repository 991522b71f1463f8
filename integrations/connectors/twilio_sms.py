"""SMS through Twilio. Builds the request that the `twilio` package would send; a test compares the two.

The payload has the form of CenitHub's tutorial: `{"from","phone","message"}` (docs/contract.md#connectors).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from integrations.connectors.base import (
    Connector,
    Parameter,
    base_url,
    nested,
    optional_parameter,
    refusal,
    required_parameter,
    text_of,
    vendor_request,
)
from integrations.foundation.languages import gettext_noop as _
from integrations.transport.base import Request, Response
from integrations.wire_formats.auth import basic
from integrations.wire_formats.base import Message, Outcome, PayloadError
from integrations.wire_formats.responses import one_line, parsed_object

VENDOR_URL = "https://api.twilio.com"


class TwilioSms(Connector):
    name = "twilio_sms"
    label = "Twilio SMS"
    description = _("Sends an SMS by Twilio from an object with from, phone and message.")
    icon = '<path d="M4 5h16v11H10l-5 4v-4H4zM8 10.5h.01M12 10.5h.01M16 10.5h.01"/>'
    sample = MappingProxyType({"from": "+15550001111", "phone": "+15552223333", "message": "Your order was shipped!"})
    parameters: tuple[Parameter, ...] = (
        Parameter("account_sid", _("Account SID"), _("Begins with AC; on the first page of Twilio's console.")),
        Parameter("auth_token", _("Auth token"), _("Next to the account SID in Twilio's console."), is_secret=True),
        Parameter(
            "from", _("Sender"), _("The sending number, used if the object does not name one."), is_required=False
        ),
    )

    def __init__(self, vendor_url: str | None = None) -> None:
        self._vendor_url = vendor_url

    def build(self, message: Message) -> Request:
        account_sid = required_parameter(message, "account_sid")
        auth_token = required_parameter(message, "auth_token")
        sms = None if message.is_ping else _sms(message)
        root = self._vendor_url or base_url("TWILIO_BASE_URL", VENDOR_URL)
        account = f"{root}/2010-04-01/Accounts/{quote(account_sid, safe='')}"
        authorization = basic(f"{account_sid}:{auth_token}")
        if sms is None:
            return vendor_request(message, "GET", f"{account}.json", authorization=authorization)
        return vendor_request(
            message,
            "POST",
            f"{account}/Messages.json",
            authorization=authorization,
            body=_form(sms),
            content_type="application/x-www-form-urlencoded",
            extra=(("Accept-Charset", "utf-8"),),
        )

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
    """Return the three fields; `from` may come from the parameters. Raises PayloadError naming those missing."""
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


def _form(sms: dict[str, str]) -> bytes:
    try:
        return urlencode({"To": sms["phone"], "From": sms["from"], "Body": sms["message"]}).encode()
    except UnicodeEncodeError as error:
        raise PayloadError("payload", "The SMS contains a lone surrogate, which is not a character.") from error
