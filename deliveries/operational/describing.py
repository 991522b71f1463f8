"""What an operational event says: ids as the API has them, a status and a reason; no payload."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from deliveries.ingest.plan import PublishedEvent
from deliveries.models import Delivery, FailureGroup, OperationalEvent, Recipe
from deliveries.operational import topics
from integrations.foundation.identifiers import public_id
from integrations.models import Integration
from subscriptions.matching import is_own_topic

#: What a reference leads to: by the reference, its own id and the members of `data`. What is not in it is gone, or is
#: about a delivery of an operational event itself.
_Found = Mapping[str, tuple[str, dict[str, Any]]]


def described(rows: Sequence[OperationalEvent]) -> list[PublishedEvent]:
    """The events, in order. Left out is what is gone meanwhile, and what would be about an operational event."""
    found: dict[str, _Found] = {}
    for topic in {row.topic for row in rows}:
        found[topic] = _LOOKUPS[topic]({row.reference for row in rows if row.topic == topic})
    events = []
    for row in rows:
        if (about := found[row.topic].get(row.reference)) is not None:
            identity, data = about
            data = {"store": str(row.store_id), **data, **row.data}
            events.append(PublishedEvent(row.topic, None, data, row.created_at, "", object_id=identity))
    return events


def _deliveries(references: set[str]) -> _Found:
    rows = Delivery.objects.filter(id__in=[uuid.UUID(reference) for reference in references])
    found = rows.values_list("id", "integration__slug", "subscription_id", "topic", "last_status", "failure_group_id")
    return {
        pk.hex: (
            public_id("dlv", pk),
            {
                "integration": slug,
                "delivery": public_id("dlv", pk),
                **_if_any(subscription=None if subscription is None else public_id("nsub", subscription)),
                "topic": topic,
                "status": "failed",
                **_if_any(last_status=last_status, case=None if case is None else f"case_{case}"),
            },
        )
        for pk, slug, subscription, topic, last_status, case in found
        if not is_own_topic(topic)
    }


def _cases(references: set[str]) -> _Found:
    rows = FailureGroup.objects.filter(id__in=[int(reference) for reference in references])
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for group in rows.select_related("integration", "sample").defer("integration__token", "integration__parameters"):
        topic = None if group.sample is None else group.sample.topic
        if topic is not None and is_own_topic(topic):
            continue
        data = {"integration": group.integration.slug, "case": group.public_id, **_if_any(topic=topic)}
        found[str(group.pk)] = (group.public_id, data | {"reason": group.headline})
    return found


def _integrations(status: str) -> Callable[[set[str]], _Found]:
    def look_up(references: set[str]) -> _Found:
        rows = Integration.objects.filter(id__in=[int(reference) for reference in references])
        return {str(pk): (slug, {"integration": slug, "status": status}) for pk, slug in rows.values_list("id", "slug")}

    return look_up


def _recipes(references: set[str]) -> _Found:
    rows = Recipe.objects.filter(id__in=[uuid.UUID(reference) for reference in references])
    return {
        pk.hex: (
            public_id("rcp", pk),
            {"integration": slug, "recipe": public_id("rcp", pk), "topic": topic, "status": "stopped"},
        )
        for pk, slug, topic in rows.values_list("id", "integration__slug", "topic")
    }


def _if_any(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


_LOOKUPS: Final[Mapping[str, Callable[[set[str]], _Found]]] = {
    topics.DELIVERY_FAILED: _deliveries,
    topics.CASE_OPENED: _cases,
    topics.CASE_RESOLVED: _cases,
    topics.INTEGRATION_DISABLED: _integrations("disabled"),
    topics.INTEGRATION_ENABLED: _integrations("enabled"),
    topics.RECIPE_STOPPED: _recipes,
}
