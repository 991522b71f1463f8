"""What staff and programs do about a delivery: the services behind the resolution wizard."""

from deliveries.resolution.actions import discard_delivery, release_hold, retry_delivery, wait_for_source
from deliveries.resolution.approval import (
    approve_revision,
    awaiting_among,
    is_paused,
    reject_revision,
    why_not_approver,
)
from deliveries.resolution.editing import edit_delivery
from deliveries.resolution.payloads import SchemaProblem, check_payload, payload_of, schema_problems
from deliveries.resolution.presence import Visitor, visit
from deliveries.resolution.rules import ResolutionError, actions_for, history_of
from deliveries.resolution.similar import AlikeReport, AlikeResult, alike, change, edit_similar, fits

__all__ = [
    "AlikeReport",
    "AlikeResult",
    "ResolutionError",
    "SchemaProblem",
    "Visitor",
    "actions_for",
    "alike",
    "approve_revision",
    "awaiting_among",
    "change",
    "check_payload",
    "discard_delivery",
    "edit_delivery",
    "edit_similar",
    "fits",
    "history_of",
    "is_paused",
    "payload_of",
    "reject_revision",
    "release_hold",
    "retry_delivery",
    "schema_problems",
    "visit",
    "wait_for_source",
    "why_not_approver",
]
