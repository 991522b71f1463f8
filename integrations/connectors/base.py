"""What the connectors share: parameters, vendor URLs and vendor errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from integrations.transport.base import Headers, Request, Response
from integrations.wire_formats.auth import credentials
from integrations.wire_formats.base import USER_AGENT, Message, Outcome, PayloadError, Skip, WireFormat
from integrations.wire_formats.post import payload_object
from integrations.wire_formats.responses import THROTTLING, retry_after, summary_of


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of the integration's parameters that a connector reads.

    `help` is a sentence for the form, `example` a value as the vendor writes it, for the contract tests. A secret one
    never stands in a configuration file.
    """

    name: str
    label: str
    help: str
    is_required: bool = True
    example: str = ""
    is_secret: bool = False


#: What a connector to a mailing list can send.
BUYER_SAMPLE: Mapping[str, Any] = MappingProxyType({"email": "joe@example.com", "buyer_accepts_marketing": True})


class Connector(WireFormat, Protocol):
    """A wire format for a vendor's API instead of a URL; its credentials are parameters."""

    parameters: tuple[Parameter, ...]
    form_fields: tuple[str, ...] = ()  # its parameters are asked for instead


def base_url(setting: str, default: str) -> str:
    """Return the vendor's base URL: the Django setting (`TWILIO_BASE_URL`, …) if set, else the vendor's own.

    Read for each request, so that tests can point it at a local server.
    """
    from django.conf import settings

    return str(getattr(settings, setting, "") or default).rstrip("/")


def required_parameter(message: Message, name: str) -> str:
    """Return the parameter `name`; raises PayloadError, naming it, if it is missing or blank."""
    value = optional_parameter(message, name)
    if not value:
        raise PayloadError("configuration", f"The parameter {name!r} is not set: add it to the integration.")
    return value


def optional_parameter(message: Message, name: str) -> str:
    return text_of(message.parameters.get(name, message.endpoint.parameters.get(name)))


def text_of(value: Any) -> str:
    """Return a string stripped, a number as its digits, anything else as the empty string."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def nested(message: Message, name: str) -> Mapping[str, Any]:
    """Return the payload's member `name` if it is an object, else the payload itself."""
    payload = payload_object(message)
    inner = payload.get(name)
    return inner if isinstance(inner, dict) else payload


def buyer_email(message: Message) -> str:
    """Return the buyer's e-mail address. Raises Skip without marketing consent, PayloadError without an address."""
    payload = payload_object(message)
    order = _object_in(payload, "order")
    accepts = payload.get("buyer_accepts_marketing", order.get("buyer_accepts_marketing"))
    if accepts is not True and text_of(accepts).lower() != "true":
        raise Skip("Not subscribed: buyer_accepts_marketing is not true.")
    for holder in (payload, _object_in(payload, "customer"), order):
        email = text_of(holder.get("email"))
        if email:
            return email
    raise PayloadError("payload", "The payload has no e-mail address: email, customer.email and order.email are empty.")


def buyer_names(message: Message) -> tuple[str, str]:
    """Return first and last name; each is empty if the order does not have it."""
    payload = payload_object(message)
    for name in ("customer", "billing_address", "shipping_address"):
        holder = _object_in(payload, name)
        first = text_of(holder.get("first_name")) or text_of(holder.get("firstname"))
        last = text_of(holder.get("last_name")) or text_of(holder.get("lastname"))
        if first or last:
            return first, last
    return text_of(payload.get("first_name")), text_of(payload.get("last_name"))


def _object_in(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def vendor_request(
    message: Message,
    method: str,
    url: str,
    *,
    authorization: str,
    body: bytes = b"",
    content_type: str = "application/json",
    extra: Headers = (),
) -> Request:
    """Return a request to a vendor with Basic authorization; the credentials are marked for masking."""
    headers: Headers = (("User-Agent", USER_AGENT), ("Accept", "application/json"))
    if body:
        headers = (("Content-Type", content_type), *headers)
    return Request(
        method,
        url,
        (*headers, ("Authorization", authorization), *extra),
        body,
        message.endpoint.timeout,
        connector_secrets(message, authorization),
    )


def connector_secrets(message: Message, authorization: str = "") -> tuple[str, ...]:
    found = credentials(message.endpoint, message.parameters)
    blob = authorization.partition(" ")[2]
    return (*found, blob) if blob else found


def refusal(message: Message, response: Response, *, vendor: str, kind: str = "", words: str | None = None) -> Outcome:
    """Return the outcome of a vendor's error response: 4xx except 429 is permanent, everything else is retried."""
    status = response.status
    words = words or summary_of(response)
    return Outcome(
        False,
        kind=kind or f"http_{status}",
        message=f"{vendor} answered {status}" + (f": {words}" if words else " with no error message."),
        summary=words,
        is_permanent=(400 <= status < 500 and status != 429) or status in message.endpoint.permanent_statuses,
        retry_after=retry_after(response, message.now) if status in THROTTLING else None,
    )
