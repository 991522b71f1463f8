"""Which parameters, headers and URLs are secrets. Connectors say so of theirs; of others every text may be one."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config.as_code.references import SecretText, as_secret
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Parameter
from integrations.models import Integration
from integrations.security.redaction import is_sensitive_name

_WORDS = frozenset({"key", "pass", "pwd", "code", "sig", "signature", "session", "credential", "credentials"})


def shown_parameters(parameters: dict[str, Any], integration: Integration) -> dict[str, Any]:
    """`parameters` with what may be secret marked."""
    known = declared(integration)
    return {
        name: value if name in known and not known[name].is_secret else as_secret(value)
        for name, value in parameters.items()
    }


def may_be_secret(name: str) -> bool:
    """Whether a header or a part of a URL's query of this name may hold a credential."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return is_sensitive_name(name) or not _WORDS.isdisjoint(words)


def shown_url(url: str) -> str:
    """`url`, marked as a secret if its query holds one."""
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    return SecretText(url) if any(map(may_be_secret, names)) else url


def clear_secret(parameters: Any, integration: Integration | None) -> str | None:
    """The first parameter that a connector calls secret and that stands in the file itself; None if there is none."""
    if integration is None or not isinstance(parameters, dict):
        return None
    known = declared(integration)
    for name, value in parameters.items():
        is_secret = name in known and known[name].is_secret
        if is_secret and isinstance(value, str) and value and not isinstance(value, SecretText):
            return str(name)
    return None


def declared(integration: Integration) -> dict[str, Parameter]:
    connector = CONNECTORS.get(integration.connector or "")
    return {each.name: each for each in connector.parameters} if connector is not None else {}
