"""Auth types, static headers and secrets to mask, shared by all formats. Pure.

Source: docs/contract.md#authentication-of-deliveries.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations.foundation.texts import texts_in
from integrations.transport.base import Headers
from integrations.transport.header_rules import FORBIDDEN_IN_VALUE, HEADER_NAME, is_latin_1
from integrations.wire_formats.base import Endpoint, Message, PayloadError

AUTH_TYPES = ("none", "bearer", "token", "basic", "header", "hub")

MAX_VALUE_LENGTH = 4096


def check_header_value(name: str, value: str) -> None:
    """Raise ValueError if `value` cannot be sent: line breaks, control characters, or characters outside latin-1."""
    if not isinstance(value, str):
        raise ValueError(_("The value of the header %(name)s is not text.") % {"name": name})
    if FORBIDDEN_IN_VALUE.search(value):
        raise ValueError(
            _("The value of the header %(name)s contains a line break or another control character.") % {"name": name}
        )
    if not is_latin_1(value):
        raise ValueError(
            _("The value of the header %(name)s contains a character outside ISO-8859-1, which HTTP cannot send.")
            % {"name": name}
        )
    if len(value) > MAX_VALUE_LENGTH:
        raise ValueError(
            _("The value of the header %(name)s is longer than %(limit)s characters.")
            % {"name": name, "limit": MAX_VALUE_LENGTH}
        )


def auth_headers(endpoint: Endpoint) -> Headers:
    """Return the header for the integration's auth type; empty if the type is `none` or no token is set."""
    if endpoint.auth_type == "none" or not endpoint.token:
        return ()
    if endpoint.auth_type == "bearer":
        return (("Authorization", f"Bearer {endpoint.token}"),)
    if endpoint.auth_type == "token":
        return (("Authorization", f"Token {endpoint.token}"),)
    if endpoint.auth_type == "basic":
        return (("Authorization", basic(endpoint.token)),)
    if endpoint.auth_type == "hub":
        return (("X-Hub-Token", endpoint.token),)
    if endpoint.auth_type == "header":
        return ((endpoint.auth_header, endpoint.token),)
    raise PayloadError("configuration", f"The integration's auth type {endpoint.auth_type!r} is unknown.")


def basic(user_and_password: str) -> str:
    """Return `Basic …` for `user:password`; a token without a colon is a user name with an empty password."""
    pair = user_and_password if ":" in user_and_password else user_and_password + ":"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")


def credentials(endpoint: Endpoint, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values that must be masked: token, secrets, parameter values, the Basic credentials."""
    found = [*endpoint.secrets, *texts_in(endpoint.parameters), *texts_in(parameters)]
    if endpoint.token:
        found.append(endpoint.token)
        found.append(basic(endpoint.token).removeprefix("Basic "))
        found.append(endpoint.token.partition(":")[2])
    if endpoint.additional_data:  # shops keep API keys in it
        found.append(endpoint.additional_data)
    return tuple(dict.fromkeys(text for text in found if text))


@dataclass(frozen=True, slots=True)
class Prepared:
    """Headers and secrets that all messages to one endpoint share, computed once."""

    endpoint: Endpoint
    headers: Headers  # auth headers, then static headers
    secrets: tuple[str, ...]


#: Keyed by id(), because an Endpoint contains dicts and is not hashable. An entry keeps its endpoint alive, so its id()
#: is not reused. Cleared when full.
_prepared: dict[int, Prepared] = {}
_PREPARED_LIMIT = 4096


def prepare(endpoint: Endpoint) -> Prepared:
    """Return the cached headers and secrets of `endpoint`; raises PayloadError if a header cannot be sent."""
    known = _prepared.get(id(endpoint))
    if known is not None and known.endpoint is endpoint:
        return known
    headers = auth_headers(endpoint) + endpoint.headers
    try:
        for name, value in headers:
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(_("%(name)r is not a header name.") % {"name": name})
            check_header_value(name, value)
    except ValueError as error:
        raise PayloadError("configuration", f"{error} Correct it in the integration.") from error
    made = Prepared(endpoint, headers, credentials(endpoint, {}))
    if len(_prepared) >= _PREPARED_LIMIT:
        _prepared.clear()
    _prepared[id(endpoint)] = made
    return made


def secrets_of(message: Message, prepared: Prepared) -> tuple[str, ...]:
    """Return the values to mask in this message's request: the endpoint's secrets and the subscription's parameters."""
    if not message.parameters or message.parameters == message.endpoint.parameters:
        return prepared.secrets
    return credentials(message.endpoint, message.parameters)
