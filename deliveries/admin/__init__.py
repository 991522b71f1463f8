from deliveries.admin.delivery import DeliveryAdmin
from deliveries.admin.groups import FailureGroupAdmin
from deliveries.admin.readonly import AttemptAdmin, EngineAdmin, EventAdmin, RecordAdmin
from deliveries.admin.replays import ReplayAdmin
from deliveries.admin.sources import SourceRequestAdmin

__all__ = [
    "AttemptAdmin",
    "DeliveryAdmin",
    "EngineAdmin",
    "EventAdmin",
    "FailureGroupAdmin",
    "RecordAdmin",
    "ReplayAdmin",
    "SourceRequestAdmin",
]
