"""Which parameters of integrations and subscriptions are secrets: a connector says so, of others every text may be."""

from __future__ import annotations

from typing import Any

from config.as_code.references import SecretText, as_secret
from integrations.connectors import CONNECTORS
from integrations.connectors.base import Parameter
from integrations.models import Integration


def shown_parameters(parameters: dict[str, Any], integration: Integration) -> dict[str, Any]:
    """`parameters` with what may be secret marked."""
    known = declared(integration)
    return {
        name: value if name in known and not known[name].is_secret else as_secret(value)
        for name, value in parameters.items()
    }


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
