"""Which topics and intents a store has seen, without reading its events."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from integrations.models import Store
from subscriptions.models import Subscription, Topic

#: The most names examined; a store that invents a topic per event must not slow lists down.
NAMES_LIMIT = 500

#: Jumps from one (store, topic) to the next in the index `event_of_topic`: one look-up each, however many events.
_SEEN = """
WITH RECURSIVE seen(store_id, topic, n) AS (
    SELECT * FROM (
        SELECT store_id, topic, 1 FROM deliveries_event WHERE topic IS NOT NULL {first}
        ORDER BY store_id, topic LIMIT 1
    ) AS head
    UNION ALL
    SELECT
        (SELECT e.store_id FROM deliveries_event e WHERE e.topic IS NOT NULL {next}
         AND (e.store_id, e.topic) > (seen.store_id, seen.topic) ORDER BY e.store_id, e.topic LIMIT 1),
        (SELECT e.topic FROM deliveries_event e WHERE e.topic IS NOT NULL {next}
         AND (e.store_id, e.topic) > (seen.store_id, seen.topic) ORDER BY e.store_id, e.topic LIMIT 1),
        seen.n + 1
    FROM seen WHERE seen.topic IS NOT NULL AND seen.n < %s
)
SELECT DISTINCT topic FROM seen WHERE topic IS NOT NULL ORDER BY topic
"""


def seen_topics(stores: Sequence[uuid.UUID] | None = None) -> list[str]:
    """The topics of events that came in, of these stores or of all; at most `NAMES_LIMIT`."""
    if stores is None:
        return _rows("", "", [])
    found: set[str] = set()
    to_db = Store._meta.pk.get_db_prep_value
    for store in stores:
        value = to_db(store, connection)
        found.update(_rows("AND store_id = %s", "AND e.store_id = %s", [value]))
    return sorted(found)


def _rows(first: str, following: str, store: list[Any]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_SEEN.format(first=first, next=following), [*store, *store, *store, NAMES_LIMIT])
        return [topic for (topic,) in cursor.fetchall()]


def known_names(*, beginning: str = "", stores: Sequence[uuid.UUID] | None = None) -> list[str]:
    """Topics seen or described, and subscribed intents, for type-ahead and search."""
    described = Topic.objects.all()
    subscribed = Subscription.objects.exclude(intents=[])
    if stores is not None:
        described = described.filter(store_id__in=stores)
        subscribed = subscribed.filter(store_id__in=stores)
    names = {*seen_topics(stores), *described.values_list("name", flat=True)[:NAMES_LIMIT]}
    for intents in subscribed.values_list("intents", flat=True)[:NAMES_LIMIT]:
        names.update(intents)
    wanted = beginning.lower()
    return sorted(name for name in names if name.lower().startswith(wanted))[:NAMES_LIMIT]
