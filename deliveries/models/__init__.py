from deliveries.models.backlog import Backlog
from deliveries.models.case import CaseComment, CaseRule, FailureHour
from deliveries.models.delivery import Attempt, Delivery, Revision
from deliveries.models.engine import Engine, Reservation
from deliveries.models.erasure import BodySweep, Erasure
from deliveries.models.event import Event, IdempotencyKey, Record
from deliveries.models.failure_group import FailureGroup
from deliveries.models.operational_event import OperationalEvent
from deliveries.models.proposal import Proposal
from deliveries.models.push_window import PushWindow
from deliveries.models.recipes import BulkFix, BulkFixItem, Recipe, RecipeUse
from deliveries.models.replay import Replay, ReplayItem
from deliveries.models.search import (
    DeliveryDocument,
    EventDocument,
    RecordDocument,
    SavedView,
    SearchDocument,
    SearchedStore,
    SearchPurge,
    SearchState,
)
from deliveries.models.simulation import Simulation, SimulationItem
from deliveries.models.source import SourceEvent, SourceKey, SourceRequest
from deliveries.models.stats import AttemptCount, AttemptStats, PushCount, StatsBucket
from deliveries.models.visit import WizardPresence

__all__ = [
    "Attempt",
    "AttemptCount",
    "AttemptStats",
    "Backlog",
    "BodySweep",
    "BulkFix",
    "BulkFixItem",
    "CaseComment",
    "CaseRule",
    "Delivery",
    "DeliveryDocument",
    "Engine",
    "Erasure",
    "Event",
    "EventDocument",
    "FailureGroup",
    "FailureHour",
    "IdempotencyKey",
    "OperationalEvent",
    "Proposal",
    "PushCount",
    "PushWindow",
    "Recipe",
    "RecipeUse",
    "Record",
    "RecordDocument",
    "Replay",
    "ReplayItem",
    "Reservation",
    "Revision",
    "SavedView",
    "SearchDocument",
    "SearchPurge",
    "SearchState",
    "SearchedStore",
    "Simulation",
    "SimulationItem",
    "SourceEvent",
    "SourceKey",
    "SourceRequest",
    "StatsBucket",
    "WizardPresence",
]
