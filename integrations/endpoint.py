"""Converts an `Integration` to the plain `Endpoint` that wire formats use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.models import Integration
from integrations.wire_formats.base import Endpoint


def endpoint_of(integration: Integration, now: datetime) -> Endpoint:
    """Return the endpoint, with decrypted credentials: never store it. Prefetch `secrets` when converting many."""
    return Endpoint(
        id=integration.id,
        uuid=str(integration.uuid),
        name=integration.name,
        store_id=str(integration.store_id),
        url=integration.url,
        connector=integration.connector or None,
        wire_format=integration.wire_format,
        auth_type=integration.auth_type,
        auth_header=integration.auth_header,
        token=integration.token,
        secrets=tuple(integration.active_secrets(now)),
        parameters=integration.parameters,
        headers=tuple((name, str(value)) for name, value in integration.headers.items()),
        additional_data=integration.additional_data,
        timeout=integration.timeout,
        permanent_statuses=frozenset(integration.permanent_statuses),
    )


def merge_parameters(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge: objects are merged key by key; any other value of `override` replaces that of `base`."""
    merged = dict(base)
    for key, value in override.items():
        mine = merged.get(key)
        both = isinstance(mine, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_parameters(mine, value) if both else value  # type: ignore[arg-type]
    return merged
