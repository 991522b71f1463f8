"""One line of the log per attempt, in JSON only: ids, outcome and duration; nothing of a payload or an answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from deliveries.hooks import AttemptReport
from integrations.foundation.identifiers import public_id

logger = logging.getLogger("hookdesk.attempts")


def log_attempts(reports: Sequence[AttemptReport]) -> None:
    """Listener of `deliveries.hooks.attempted`."""
    if not logger.isEnabledFor(logging.INFO):
        return
    for report in reports:
        fields = fields_of(report)
        logger.info("attempt %s of %s %s", report.attempt, fields["delivery"], report.outcome, extra={"fields": fields})


def fields_of(report: AttemptReport) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "event": "delivery.attempt",
        "store": str(report.store_id),
        "integration": report.integration,
        "subscription": None if report.subscription_id is None else public_id("nsub", report.subscription_id),
        "delivery": public_id("dlv", report.delivery_id),
        "topic": report.topic,
        "attempt": report.attempt,
        "status": report.status,
        "outcome": report.outcome,
        "duration_ms": round(report.seconds * 1000),
    }
    if report.error:
        fields["error_kind"] = report.error
    if report.is_test:
        fields["test"] = True
    if report.is_late:
        fields["late"] = True
    return fields
