"""Checks of what people and programs set on an integration: one place for the API, the admin and commands.

Each cleaner takes whatever came out of JSON or a form, gives back what is stored, or raises ValueError with a
sentence that says what is wrong. Django's ValidationError carries all of them by field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.connectors import CONNECTORS
from integrations.foundation.strict_json import DocumentError, dump_document
from integrations.models import Integration
from integrations.retry import POLICIES, parse_policy
from integrations.transport import UrlRefused, check_url, current_policy, refuse_forbidden_name
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.auth import check_header_value
from integrations.wire_formats.static_headers import check_header_name, check_static_headers

#: Bytes of JSON that parameters may have.
PARAMETERS_LIMIT = 64 * 1024
IN_FLIGHT_LIMIT = 100_000
RATE_LIMIT = 100_000
TIMEOUT_LIMIT = 180
#: Whoever saves a URL waits no longer for the DNS.
LOOKUP_SECONDS = 2.0

_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,100}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class IntegrationValues(TypedDict, total=False):
    """What can be set. What is left out (or None, where that has no meaning of its own) gets its default."""

    name: str
    slug: str | None
    url: str | None
    connector: str | None
    wire_format: str | None
    auth_type: str | None
    auth_header: str | None
    token: str | None
    secret: str | None
    parameters: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    additional_data: str | None
    retry_policy: str | list[float] | None
    timeout: float | None
    max_in_flight: int | None
    rate_limit: float | None
    permanent_statuses: list[int] | None
    keeps_bodies: bool | None
    is_enabled: bool | None
    disabled_reason: str | None


def clean_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are stored. Raises ValidationError, by field, for all that are wrong."""
    return clean_each(values, _CLEANERS, may_be_none=_MAY_BE_NONE)


def clean_each(
    values: Mapping[str, Any], cleaners: Mapping[str, Callable[[Any], Any]], *, may_be_none: Collection[str]
) -> dict[str, Any]:
    """Each value by the cleaner of its field. Raises ValidationError, by field, for all that are wrong."""
    cleaned: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for field, value in values.items():
        try:
            cleaned[field] = None if value is None and field in may_be_none else cleaners[field](value)
        except ValueError as error:
            errors[field] = ValidationError(str(error), code="invalid")
    if errors:
        raise ValidationError(errors)
    return cleaned


def check_destination(url: str) -> None:
    """Raises ValidationError for `url` where its host name leads to forbidden addresses only.

    Asks the DNS, for LOOKUP_SECONDS at most: call it before a transaction, never inside.
    """
    try:
        refuse_forbidden_name(url, current_policy(), LOOKUP_SECONDS)
    except UrlRefused as refused:
        raise ValidationError({"url": ValidationError(refused.reason, code="invalid")}) from None


def clean_line(value: Any, *, limit: int, is_required: bool = False) -> str:
    """Text on one line, without control characters, of at most `limit` characters. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(_("Write a text here."))
    if _CONTROL.search(value):
        raise ValueError(_("This contains a line break or another control character. Remove it."))
    text = value.strip()
    if is_required and not text:
        raise ValueError(_("This is empty. Write a name."))
    if len(text) > limit:
        raise ValueError(
            _("This has %(number)s characters; at most %(limit)s are allowed. Shorten it.")
            % {"number": len(text), "limit": limit}
        )
    return text


def clean_parameters(value: Any) -> dict[str, Any]:
    """A JSON object that can be kept. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError(_('Parameters are a JSON object, such as {"from": "+15551234567"}.'))
    try:
        size = len(dump_document(dict(value)).encode())
    except DocumentError as error:
        raise ValueError(error.message) from None
    except TypeError:
        raise ValueError(_("Parameters hold something that JSON cannot express.")) from None
    if size > PARAMETERS_LIMIT:
        raise ValueError(
            _("Parameters have %(number)s bytes; %(limit)s is the most.") % {"number": size, "limit": PARAMETERS_LIMIT}
        )
    return dict(value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _name(value: Any) -> str:
    return clean_line(value, limit=200, is_required=True)


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise ValueError(_("A slug has 1 to 100 letters, digits, hyphens and underscores, such as shop-mirror."))
    return value


def _url(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Write the URL as a text."))
    return check_url(value.strip(" "), current_policy()) if value else ""


def _choice(value: Any, choices: Mapping[str, Any] | list[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            (
                _("%(value)r is not known. Choose one of: %(choices)s.")
                % {"value": value, "choices": ", ".join(choices)}
            )[:500]
        )
    return value


def _auth_header(value: Any) -> str:
    name = clean_line(value, limit=100)
    if name:
        check_header_name(name)
    return name


def _token(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Write the token as a text."))
    check_header_value(_("with the token"), value)
    return value.strip()


def _secret(value: Any) -> str:
    # How long and of what it must be is the format's to say. Blanks at its ends are part of the key.
    clean_line(value, limit=500)
    return str(value)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(_('Headers are a JSON object, such as {"X-Team": "shipping"}.'))
    check_static_headers(value)
    return dict(value)


def _additional_data(value: Any) -> str:
    text = clean_line(value, limit=500)
    check_header_value("X-Spiffy-Stores-Data", text)
    return text


def _retry_policy(value: Any) -> str | list[float]:
    delays = parse_policy(value)
    if isinstance(value, str) and (name := value.strip().lower()) in POLICIES:
        return name
    return list(delays)


def _timeout(value: Any) -> float:
    if not is_number(value) or not 0 < value <= TIMEOUT_LIMIT:
        raise ValueError(
            _("The timeout must be a number of seconds, more than 0 and at most %(limit)s.") % {"limit": TIMEOUT_LIMIT}
        )
    return float(value)


def _max_in_flight(value: Any) -> int:
    if not is_integer(value) or not 1 <= value <= IN_FLIGHT_LIMIT:
        raise ValueError(_("This is a whole number from 1 to %(limit)s.") % {"limit": IN_FLIGHT_LIMIT})
    return int(value)


def _rate_limit(value: Any) -> float:
    if not is_number(value) or not 0 < value <= RATE_LIMIT:
        raise ValueError(
            _("The rate is a number of requests per second, more than 0 and at most %(limit)s.") % {"limit": RATE_LIMIT}
        )
    return float(value)


def _permanent_statuses(value: Any) -> list[int]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        is_integer(status) and 100 <= status <= 599 for status in value
    ):
        raise ValueError(_("This is a list of HTTP status codes from 100 to 599, such as [400, 410]."))
    return sorted(set(value))


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("This is either true or false."))
    return value


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "slug": _slug,
    "url": _url,
    "connector": lambda value: _choice(value, CONNECTORS) if value != "" else None,
    "wire_format": lambda value: _choice(value, WIRE_FORMATS),
    "auth_type": lambda value: _choice(value, Integration.AuthType.values),
    "auth_header": _auth_header,
    "token": _token,
    "secret": _secret,
    "parameters": clean_parameters,
    "headers": _headers,
    "additional_data": _additional_data,
    "retry_policy": _retry_policy,
    "timeout": _timeout,
    "max_in_flight": _max_in_flight,
    "rate_limit": _rate_limit,
    "permanent_statuses": _permanent_statuses,
    "keeps_bodies": _boolean,
    "is_enabled": _boolean,
    "disabled_reason": lambda value: clean_line(value, limit=500),
}
_MAY_BE_NONE = frozenset(_CLEANERS) - {"name"}
