"""What files of the lists have: the same from the desk and from the API."""

from __future__ import annotations

from typing import Final

from integrations.services.exports import ExportedList, columns

DELIVERIES: Final = ExportedList("Deliveries", columns(
    "id:public_id", "status", "topic", "object_type:event.object_type", "object_id:event.object_id",
    "store:store.name", "integration:integration.slug", "subscription:subscription_id", "attempts:attempt_count",
    "last_status", "last_error", "next_attempt_at", "created_at", "finished_at", "erased_at",
    "event:event.public_id", "data:event.data",
))  # fmt: skip
EVENTS: Final = ExportedList("Events", columns(
    "id:public_id", "topic", "intent", "object_type", "object_id", "store:store.name", "origin", "occurred_at",
    "created_at", "erased_at", "data",
))  # fmt: skip
RECORDS: Final = ExportedList("Records", columns(
    "type", "id:external_id", "store:store.name", "version", "created_at", "updated_at", "data",
))  # fmt: skip
# Without bodies, which may hold credentials of the integration.
ATTEMPTS: Final = ExportedList("Attempts", columns(
    "id", "delivery:delivery.public_id", "topic:delivery.topic", "integration:delivery.integration.slug",
    "number", "trigger", "outcome", "started_at", "duration_ms", "method", "url", "response_status",
    "error_kind", "error_message", "summary",
))  # fmt: skip
CASES: Final = ExportedList("Cases", columns(
    "id:public_id", "status", "title:headline", "message", "kind", "store:store.name",
    "integration:integration.slug", "occurrences", "assignee:assignee.username", "first_seen", "last_at",
    "resolved_at", "snoozed_until", "return_count", "ticket",
))  # fmt: skip
BULK_ACTIONS: Final = ExportedList("Bulk actions", columns(
    "id", "action", "status", "store:store.name", "filters", "total", "done", "skipped", "reason",
    "created_by:created_by_name", "created_at", "finished_at",
), order="created_at")  # fmt: skip
FIXES: Final = ExportedList("Bulk fixes", columns(
    "id:public_id", "status", "store:store.name", "field:place", "rules", "total", "counts", "reason",
    "author:author_name", "created_at", "sent_at", "undone_at",
), order="created_at")  # fmt: skip
RECIPES: Final = ExportedList("Recipes", columns(
    "id:public_id", "name", "is_active", "store:store.name", "integration:integration.slug", "topic",
    "field:place", "rules", "uses", "succeeded", "failed_again", "left_alone", "owner:owner_name", "created_at",
    "expires_at", "last_used_at",
), order="created_at")  # fmt: skip
ERASURES: Final = ExportedList("Erasures", columns(
    "id:public_id", "status", "store:store.name", "match", "found", "erased", "reason", "asked_by:author_name",
    "approved_by:approved_by_name", "created_at", "finished_at",
), order="created_at")  # fmt: skip
SOURCE_REQUESTS: Final = ExportedList("Source requests", columns(
    "received_at", "source:source.slug", "verdict", "status", "reason", "method", "query", "body_size",
    "body:body_text",
))  # fmt: skip
