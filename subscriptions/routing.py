"""A store's subscriptions and topics for ingest, cached by configuration version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from integrations.models import Store
from integrations.object_types import singular
from subscriptions.budget import Budget
from subscriptions.json_schema import Schema, SchemaError, Violation, compile_schema
from subscriptions.matching import Interest, SubscriptionIndex, normalise_topic
from subscriptions.models import Subscription

CACHE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Route:
    """One subscription as ingest sees it."""

    subscription_id: uuid.UUID
    integration_id: int
    filter: str
    is_ordered: bool


class SchemaViolation(ValueError):
    """Data violates the JSON Schema of its topic; `path` is inside the data: `shipping_address.phone`."""

    def __init__(self, topic: str, path: str, message: str) -> None:
        super().__init__(message)
        self.topic = topic
        self.path = path
        self.message = message


@dataclass(frozen=True)
class TopicRule:
    """What a store has declared about a topic."""

    name: str
    schema: Any
    condition: str

    @cached_property
    def _compiled(self) -> Schema | SchemaError | None:
        try:
            return None if self.schema is None else compile_schema(self.schema)
        except SchemaError as error:
            return error

    def violations(self, data: Any, budget: Budget | None = None, limit: int = 100) -> list[Violation]:
        """What the schema objects to, by place, at most `limit`.

        Schemas are checked when they are saved. One that was saved before the present rules, and cannot be applied
        under them, objects to everything: data that nobody has checked must not pass for checked.
        """
        compiled = self._compiled
        if compiled is None:
            return []
        if isinstance(compiled, SchemaError):
            return [Violation((), f"the schema of the topic is invalid and must be corrected: {compiled}")]
        return compiled.violations(data, budget or Budget(), limit)


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

    def check_schema(self, topic: str, data: Any, budget: Budget | None = None, path: str = "") -> None:
        """Raises SchemaViolation for the first place where data breaks the schema of its topic, if there is one.

        `path` is where the data stands in what was sent.
        """
        rule = self.rule_of(topic)
        violations = rule.violations(data, budget) if rule is not None else []
        if violations:
            raise SchemaViolation(topic, violations[0].place(path), violations[0].message)


_cache: dict[uuid.UUID, StoreConfig] = {}


def cached_config(store_id: uuid.UUID, version: int) -> StoreConfig | None:
    """The routing of a store as of `version`, if this process has it: without the database."""
    cached = _cache.get(store_id)
    return cached if cached is not None and cached.version == version else None


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
