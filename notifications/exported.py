"""What files of the lists have: the same from the desk and from the API."""

from __future__ import annotations

from typing import Final

from integrations.services.exports import ExportedList, columns

NOTIFICATIONS: Final = ExportedList("Notifications", columns(
    "id:public_id", "level", "status", "summary", "store:store.name", "integration:integration.slug",
    "occurrences", "created_at", "last_at", "resolved_at", "resolved_by",
), order="created_at")  # fmt: skip
