"""What files of the lists have: the same from the desk and from the API."""

from __future__ import annotations

from typing import Final

from integrations.services.exports import ExportedList, columns

TOPICS: Final = ExportedList("Topics", columns(
    "name", "store:store.name", "description", "schema", "condition", "created_at", "updated_at",
))  # fmt: skip
SUBSCRIPTIONS: Final = ExportedList("Subscriptions", columns(
    "id", "store:store.name", "integration:integration.slug", "topics", "intents", "event_names", "path",
    "filter", "transform", "ordered:is_ordered", "active:is_active", "poll_every", "created_at", "updated_at",
), order="created_at")  # fmt: skip
