"""The engine's cache of integrations and subscriptions, invalidated when the configuration version changes."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from deliveries.dispatch.types import ClaimedDelivery
from integrations.connectors import adapter_for
from integrations.endpoint import endpoint_of, merge_parameters
from integrations.models import Integration
from integrations.retry import parse_policy
from integrations.security.encryption import DecryptionError
from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import Endpoint, WireFormat
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.engine")

#: Seconds. During a rotation, old secrets expire without changing the configuration version.
MAX_AGE = 30.0


@dataclass(slots=True)
class DestinationConfig:
    """What is needed to send to one integration.

    `problem`: why nothing can be sent, as text for staff; deliveries then fail and are retried.
    """

    endpoint: Endpoint
    wire_format: WireFormat
    policy: tuple[float, ...]
    problem: str = ""
    slug: str = ""


@dataclass(slots=True)
class SubscriptionConfig:
    """What a subscription adds to its integration."""

    path: str
    parameters: dict[str, Any]
    transform: str
    filter: str


def _load(integration_id: int) -> DestinationConfig:
    integration = Integration.objects.prefetch_related("secrets").get(id=integration_id)
    endpoint = endpoint_of(integration, timezone.now())
    wire_format = adapter_for(endpoint)
    policy = parse_policy(integration.retry_policy or wire_format.default_retry_policy)
    return DestinationConfig(endpoint, wire_format, policy, slug=integration.slug)


def _unusable(integration_id: int, why: str) -> DestinationConfig:
    """A placeholder for an integration whose settings cannot be read, so that it does not affect the others."""
    row = Integration.objects.values("uuid", "name", "store_id", "url", "slug").filter(id=integration_id).first()
    named = (str(row["uuid"]), row["name"], str(row["store_id"]), row["url"]) if row else ("", "", "", "")
    problem = f"The integration's settings cannot be used: {why}"
    return DestinationConfig(
        Endpoint(integration_id, *named),
        get_wire_format("standard"),
        parse_policy("standard"),
        problem,
        row["slug"] if row else "",
    )


class ConfigCache:
    def __init__(self) -> None:
        self._version = -1
        self._expires_at = 0.0
        self._destinations: dict[int, DestinationConfig] = {}
        self._subscription_configs: dict[tuple[int, uuid.UUID | None], SubscriptionConfig] = {}
        self._are_deleted: dict[uuid.UUID, bool] = {}

    def expect(self, version: int) -> None:
        """Clear the cache if it holds another version or has expired."""
        if version != self._version or time.monotonic() > self._expires_at:
            self._version = version
            self._expires_at = time.monotonic() + MAX_AGE
            self._destinations.clear()
            self._subscription_configs.clear()
            self._are_deleted.clear()

    def expect_at_least(self, version: int) -> None:
        """Clear the cache if it is older than `version`, a store's version, or has expired."""
        self.expect(max(version, self._version))

    def destination(self, integration_id: int) -> DestinationConfig:
        found = self._destinations.get(integration_id)
        if found is None:
            try:
                found = _load(integration_id)
            except (OperationalError, InterfaceError):
                raise
            except (DecryptionError, LookupError, ValueError) as error:
                found = _unusable(integration_id, str(error))
            except Exception as error:  # the columns may hold anything
                logger.exception("cannot use the settings of integration %s", integration_id)
                found = _unusable(integration_id, f"{type(error).__name__}. The worker's log has the traceback.")
            self._destinations[integration_id] = found
        return found

    def deleted(self, subscription_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
        """Return which of these subscriptions were deleted."""
        if unknown := [key for key in subscription_ids if key not in self._are_deleted]:
            found = Subscription.objects.filter(id__in=unknown, deleted_at__isnull=False)
            deleted = set(found.values_list("id", flat=True))
            self._are_deleted.update((key, key in deleted) for key in unknown)
        return {key for key in subscription_ids if self._are_deleted[key]}

    def subscription_config(self, claimed: ClaimedDelivery) -> SubscriptionConfig:
        """Return the settings of the claimed delivery's subscription.

        Raises DecryptionError, or the error that an invalid column causes.
        """
        key = (claimed.integration_id, claimed.subscription_id)
        found = self._subscription_configs.get(key)
        if found is None:
            endpoint = self.destination(claimed.integration_id).endpoint
            found = self._subscription_configs[key] = self._load_subscription_config(endpoint, claimed.subscription_id)
        return found

    def _load_subscription_config(self, endpoint: Endpoint, subscription_id: uuid.UUID | None) -> SubscriptionConfig:
        subscription = None
        if subscription_id is not None:
            subscription = Subscription.objects.filter(id=subscription_id).first()
        if subscription is None:
            return SubscriptionConfig("", dict(endpoint.parameters), "", "")
        parameters = merge_parameters(endpoint.parameters, subscription.parameters)
        return SubscriptionConfig(subscription.path, parameters, subscription.transform, subscription.filter)
