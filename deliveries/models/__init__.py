from deliveries.models.delivery import Attempt, Delivery, FailureGroup, Revision
from deliveries.models.engine import Engine
from deliveries.models.event import Event, IdempotencyKey, Record
from deliveries.models.replay import Replay
from deliveries.models.stats import StatSlot
from deliveries.models.visit import WizardVisit

__all__ = [
    "Attempt",
    "Delivery",
    "Engine",
    "Event",
    "FailureGroup",
    "IdempotencyKey",
    "Record",
    "Replay",
    "Revision",
    "StatSlot",
    "WizardVisit",
]
