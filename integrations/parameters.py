"""Parameters of integrations and subscriptions: masking, unmasking on update, changes made by receivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from integrations.endpoint import merge_parameters
from integrations.models import ConfigVersion, Integration
from integrations.security.redaction import MASK


def mask_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with every value masked, because any of them may be a credential."""
    return {key: _masked(value) for key, value in parameters.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return mask_parameters(value)
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return None if value is None else MASK


def unmask_parameters(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return `parameters` sent by a client with each mask replaced by the stored value."""
    return {key: _unmasked(value, known.get(key)) for key, value in given.items()}


def _unmasked(value: Any, known: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(known, Mapping):
        return unmask_parameters(value, known)
    if isinstance(value, list) and isinstance(known, list) and len(value) == len(known):
        return [_unmasked(mine, theirs) for mine, theirs in zip(value, known, strict=True)]
    return known if value == MASK and known is not None else value


def would_change(integration_id: int, parameters: Mapping[str, Any]) -> bool:
    """Return whether `save_parameters` would write; most responses repeat known values."""
    known = Integration.objects.only("parameters").get(id=integration_id).parameters
    return bool(merge_parameters(known, parameters) != known)


def save_parameters(integration_id: int, parameters: Mapping[str, Any]) -> None:
    """Merge parameters from a response into the integration's (docs/contract.md#hub), under a row lock.

    Writes only if a value changes, so that the configuration version does not increase with every response.
    """
    if not would_change(integration_id, parameters):
        return
    with transaction.atomic():
        ConfigVersion.lock()
        integration = Integration.objects.select_for_update(no_key=True).get(id=integration_id)
        integration.parameters = merge_parameters(integration.parameters, parameters)
        integration.save(update_fields=["parameters", "updated_at"])
