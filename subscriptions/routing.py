"""What ingest needs to know of a store's subscriptions and topics, cached by configuration version."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry

from integrations.models import Store
from integrations.object_types import singular
from subscriptions.matching import Interest, SubscriptionIndex, normalise_topic
from subscriptions.models import Subscription

logger = logging.getLogger("hookdesk.routing")

CACHE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Route:
    """One subscription as ingest sees it."""

    subscription_id: uuid.UUID
    integration_id: int
    filter: str
    is_ordered: bool


@dataclass(frozen=True)
class TopicRule:
    """What a store has declared about a topic."""

    name: str
    schema: Any
    condition: str

    @cached_property
    def _validator(self) -> Draft202012Validator:
        # An empty registry: a `$ref` to another document is an error and never a request.
        return Draft202012Validator(self.schema, registry=Registry())

    def violations(self, data: Any) -> Iterator[ValidationError]:
        """What the schema objects to, as it is found. A schema that cannot be used objects to nothing."""
        if self.schema is None:
            return
        try:
            yield from self._validator.iter_errors(data)
        except Exception:  # schemas are checked when they are saved; one that slipped through must not stop a push
            logger.exception("the schema of the topic %s cannot be used", self.name)


@dataclass(frozen=True)
class StoreConfig:
    """The store's routing as of `version`."""

    store_id: uuid.UUID
    version: int
    index: SubscriptionIndex[Route]
    rules: Mapping[str, TopicRule]
    conditions: Mapping[str, list[TopicRule]]  # by object type
    singular_overrides: Mapping[str, str]

    def rule_of(self, topic: str) -> TopicRule | None:
        """What the store has declared about an event's topic, however it is spelled."""
        if not self.rules:
            return None
        return self.rules.get(normalise_topic(topic, partial(singular, overrides=self.singular_overrides)))


_cache: dict[uuid.UUID, StoreConfig] = {}


def config_of(store_id: uuid.UUID, version: int | None = None) -> StoreConfig:
    """The routing of a store, at least as new as `version` (None: as of now). Raises Store.DoesNotExist."""
    cached = _cache.get(store_id)
    if cached is not None and version is not None and cached.version >= version:
        return cached
    # The version first: rows that change while they are read then carry a newer version, which the write
    # statement notices.
    store = Store.objects.only("config_version", "singular_overrides").get(id=store_id)
    if cached is not None and cached.version == store.config_version:
        return cached
    config = _load(store)
    if len(_cache) >= CACHE_SIZE:
        _cache.clear()
    _cache[store_id] = config
    return config


def _load(store: Store) -> StoreConfig:
    one = partial(singular, overrides=store.singular_overrides)
    rules: dict[str, TopicRule] = {}
    conditions: dict[str, list[TopicRule]] = {}
    for topic in store.topics.all():
        # Under the spelling that events are compared by: who describes `shipments.create` means `shipment.created`.
        name = normalise_topic(topic.name, one)
        rule = rules[name] = TopicRule(name, topic.schema, topic.condition)
        if rule.condition:
            conditions.setdefault(name.split(".", 1)[0], []).append(rule)
    return StoreConfig(
        store_id=store.id,
        version=store.config_version,
        index=SubscriptionIndex(_interests(store), singular=one),
        rules=rules,
        conditions=conditions,
        singular_overrides=store.singular_overrides,
    )


def _interests(store: Store) -> list[tuple[Interest, Route]]:
    rows = (
        Subscription.objects.alive()
        .filter(store=store, is_active=True, integration__deleted_at=None)
        .order_by("created_at", "id")
        .values_list("topics", "intents", "event_names", "id", "integration_id", "filter", "is_ordered")
    )
    return [
        (Interest(tuple(topics), tuple(intents), tuple(names)), Route(pk, integration_id, expression, is_ordered))
        for topics, intents, names, pk, integration_id, expression, is_ordered in rows.iterator(chunk_size=2000)
    ]
