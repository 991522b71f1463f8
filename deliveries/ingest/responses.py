"""Responses of the push API (docs/contract.md#push-api)."""

from __future__ import annotations

from typing import Any

from deliveries.ingest.plan import Plan
from integrations.foundation.identifiers import public_id


def of_objects(document: dict[str, list[Any]]) -> dict[str, int]:
    """Return the number of objects of each type: `{"shipments": 1}`."""
    return {plural: len(items) for plural, items in document.items()}


def of_events(document: Any, plan: Plan) -> dict[str, Any]:
    """Return the event, or `{"events": […]}` if an array was sent."""
    created_at = plan.now.isoformat().replace("+00:00", "Z")
    items = [
        {"id": public_id("evt", row.id), "topic": row.topic, "intent": row.intent, "created_at": created_at}
        for row in plan.events
    ]
    return {"events": items} if isinstance(document, list) else items[0]
