from deliveries.models.backlog import Backlog
from deliveries.models.case import CaseComment, CaseRule, FailureHour
from deliveries.models.delivery import Attempt, Delivery, Revision
from deliveries.models.engine import Engine, Reservation
from deliveries.models.event import Event, IdempotencyKey, Record
from deliveries.models.failure_group import FailureGroup
from deliveries.models.operational_event import OperationalEvent
from deliveries.models.push_window import PushWindow
from deliveries.models.recipes import BulkFix, BulkFixItem, Recipe, RecipeUse
from deliveries.models.replay import Replay, ReplayItem
from deliveries.models.source import SourceEvent, SourceKey, SourceRequest
from deliveries.models.stats import StatsBucket
from deliveries.models.visit import WizardPresence

__all__ = [
    "Attempt",
    "Backlog",
    "BulkFix",
    "BulkFixItem",
    "CaseComment",
    "CaseRule",
    "Delivery",
    "Engine",
    "Event",
    "FailureGroup",
    "FailureHour",
    "IdempotencyKey",
    "OperationalEvent",
    "PushWindow",
    "Recipe",
    "RecipeUse",
    "Record",
    "Replay",
    "ReplayItem",
    "Reservation",
    "Revision",
    "SourceEvent",
    "SourceKey",
    "SourceRequest",
    "StatsBucket",
    "WizardPresence",
]
