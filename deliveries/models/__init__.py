from deliveries.models.backlog import Backlog
from deliveries.models.delivery import Attempt, Delivery, FailureGroup, Revision
from deliveries.models.engine import Engine
from deliveries.models.event import Event, IdempotencyKey, Record
from deliveries.models.push_window import PushWindow
from deliveries.models.replay import Replay, ReplayItem
from deliveries.models.source import SourceEvent, SourceKey, SourceRequest
from deliveries.models.stats import StatsBucket
from deliveries.models.visit import WizardPresence

__all__ = [
    "Attempt",
    "Backlog",
    "Delivery",
    "Engine",
    "Event",
    "FailureGroup",
    "IdempotencyKey",
    "PushWindow",
    "Record",
    "Replay",
    "ReplayItem",
    "Revision",
    "SourceEvent",
    "SourceKey",
    "SourceRequest",
    "StatsBucket",
    "WizardPresence",
]
