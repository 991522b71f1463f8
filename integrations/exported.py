"""What files of the lists have: the same from the desk and from the API."""

from __future__ import annotations

from typing import Final

from integrations.services.exports import ExportedList, columns

INTEGRATIONS: Final = ExportedList("Integrations", columns(
    "slug", "name", "store:store.name", "kind:kind_label", "url", "auth_type", "is_enabled", "disabled_reason",
    "retry_policy", "timeout", "max_in_flight", "rate_limit", "created_at", "updated_at",
))  # fmt: skip
SOURCES: Final = ExportedList("Sources", columns(
    "slug", "name", "store:store.name", "kind:kind_label", "mode", "is_enabled", "mapping", "created_at",
    "updated_at",
))  # fmt: skip
AUDIT: Final = ExportedList("Audit", columns(
    "time:created_at", "actor", "action", "target_type", "target_id", "target_name", "store:store.name",
    "before", "after", "reason",
))  # fmt: skip
