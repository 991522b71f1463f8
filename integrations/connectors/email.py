"""E-mail sent through Django's mail backend: the request has the method MAIL and a mailto: URL."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from integrations.connectors.base import Connector, Parameter, connector_secrets, nested, optional_parameter, text_of
from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.transport.base import Request, Response
from integrations.wire_formats.base import Message, Outcome, PayloadError
from integrations.wire_formats.post import event_name, payload_object, utf_8
from integrations.wire_formats.responses import summary_of

#: What the mail transport returns when the mail server accepted the message (SMTP's code).
TAKEN = 250
MOST_RECIPIENTS = 50
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x20\x7f]{1,64}@[^\s@<>,;:\"()\[\]\\\x00-\x20\x7f]{1,255}")
_PLACE = re.compile(r"\{([A-Za-z0-9_.-]{1,100})\}")


class Email(Connector):
    name = "email"
    label = _("E-mail")
    description = _("Sends an e-mail from an object with to, subject and body, or from templates in the parameters.")
    icon = '<path d="M3 6h18v12H3zM3 7l9 7 9-7"/>'
    sample = MappingProxyType({"to": "joe@example.com", "subject": "Shipped", "body": "Your order was shipped!"})
    parameters: tuple[Parameter, ...] = (
        Parameter(
            "to", _("Recipients"), _("Comma-separated, used if the object has no to. {email} is filled in."), False
        ),
        Parameter("from", _("Sender"), _("The installation's default if left empty."), False),
        Parameter(
            "subject", _("Subject"), _("Used if the object has no subject. {number} is filled in from it."), False
        ),
        Parameter("body", _("Text"), _("Used if the object has no body. {customer.name} is filled in from it."), False),
    )

    def build(self, message: Message) -> Request:
        if message.is_ping:
            raise PayloadError("no_ping", "E-mail has no credentials to check: send a test event instead.")
        given = nested(message, "email")
        recipients = _recipients(given.get("to") or _filled(message, "to"))
        subject = text_of(given.get("subject")) or _filled(message, "subject") or event_name(message)
        text = given.get("body")
        mail = {
            "from": optional_parameter(message, "from") or None,
            "to": recipients,
            "subject": " ".join(subject.split()),
            "body": text if isinstance(text, str) and text else _filled(message, "body") or _pretty(message),
        }
        return Request(
            "MAIL",
            "mailto:" + ",".join(quote(address, safe="@+") for address in recipients),
            (),
            utf_8(compact_json(mail)),
            message.endpoint.timeout,
            connector_secrets(message),
        )

    def read(self, message: Message, response: Response) -> Outcome:
        """Read SMTP status codes (not HTTP's): 4xx is retried, 5xx is permanent."""
        if response.status == TAKEN:
            return Outcome(True, summary="The mail server accepted the e-mail.")
        words = summary_of(response)
        return Outcome(
            False,
            kind=f"smtp_{response.status}",
            message=f"The mail server answered {response.status}" + (f": {words}" if words else "."),
            summary=words,
            is_permanent=500 <= response.status < 600,
        )


def _recipients(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else text_of(value).split(",")
    addresses = [address for address in (text_of(part) for part in parts) if address]
    if not addresses:
        raise PayloadError("payload", "The e-mail has no recipient: 'to' is empty in the payload and the parameters.")
    if len(addresses) > MOST_RECIPIENTS:
        raise PayloadError(
            "payload", f"{len(addresses)} recipients are too many; at most {MOST_RECIPIENTS} are allowed."
        )
    for address in addresses:
        if not _ADDRESS.fullmatch(address):
            raise PayloadError("payload", f"{address!r} is not an e-mail address.")
    return addresses


def _filled(message: Message, name: str) -> str:
    """Return the parameter with each `{dotted.name}` replaced by the payload's value, or by nothing if it has none."""
    payload = payload_object(message)
    return _PLACE.sub(lambda place: _value_at(payload, place.group(1)), optional_parameter(message, name))


def _value_at(payload: Mapping[str, Any], dotted: str) -> str:
    value: Any = payload
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, dict | list | bool):
        return compact_json(value)
    return text_of(value)


def _pretty(message: Message) -> str:
    return json.dumps(message.payload, ensure_ascii=False, indent=2)
