"""The payload of a delivery: which one is sent, and whether an edited one may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from deliveries.models import Delivery
from deliveries.resolution.rules import ResolutionError
from integrations.foundation.strict_json import DocumentError, dump_document, parse_document
from subscriptions.routing import SchemaViolation, config_of

#: The most problems reported; a completely wrong payload may have thousands.
PROBLEMS_LIMIT = 20


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """`path` is the path inside the payload as the API spells it: `items[0].price`; empty for the whole."""

    path: str
    message: str


def payload_of(delivery: Delivery, number: int | None = None) -> dict[str, Any]:
    """The current payload, or that of revision `number`; 0 is the original. Raises LookupError for an unknown one."""
    number = delivery.revision if number is None else number
    if number == 0:
        data: dict[str, Any] = delivery.event.data
        return data
    revision = delivery.revisions.filter(number=number).first()
    if revision is None:
        raise LookupError(f"There is no revision {number} of this delivery.")
    edited: dict[str, Any] = revision.data
    return edited


def check_payload(delivery: Delivery, payload: str | bytes | dict[str, Any]) -> dict[str, Any]:
    """The payload, if it may be sent: strict JSON, an object, valid under the topic's JSON Schema.

    Raises ResolutionError with the first problem and its path.
    """
    data = _parsed(payload)
    if not isinstance(data, dict):
        raise ResolutionError("invalid", _("The payload must be a JSON object: { … }."))
    topic = delivery.event.topic
    if topic is not None:
        try:
            config_of(delivery.store_id).check_schema(topic, data)
        except SchemaViolation as violation:
            place = violation.path or _("the payload")
            raise ResolutionError("invalid", f"{place}: {violation.message}", violation.path or None) from None
    return data


def _parsed(payload: Any) -> Any:
    try:
        # An object is serialised and parsed again, so that the same rules apply, including NUL and depth.
        raw = payload if isinstance(payload, str | bytes) else dump_document(payload)
        return parse_document(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"))
    except DocumentError as error:
        raise ResolutionError("invalid", error.message, error.field) from None
    except TypeError as error:
        raise ResolutionError("invalid", _("The payload is not JSON: %(error)s.") % {"error": error}) from None


def schema_problems(delivery: Delivery, payload: Any) -> list[SchemaProblem]:
    """All schema violations (at most `PROBLEMS_LIMIT`); none if there is no schema."""
    topic = delivery.event.topic
    rule = config_of(delivery.store_id).rule_of(topic) if topic is not None else None
    if rule is None:
        return []
    return [
        SchemaProblem(violation.place(), violation.message)
        for violation in rule.violations(payload, limit=PROBLEMS_LIMIT)
    ]
