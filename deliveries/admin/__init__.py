from deliveries.admin.bulk_fixes import BulkFixAdmin
from deliveries.admin.delivery import DeliveryAdmin
from deliveries.admin.erasures import ErasureAdmin
from deliveries.admin.groups import FailureGroupAdmin
from deliveries.admin.readonly import AttemptAdmin, EngineAdmin, EventAdmin, RecordAdmin
from deliveries.admin.recipes import RecipeAdmin
from deliveries.admin.replays import ReplayAdmin
from deliveries.admin.search import SearchAdmin
from deliveries.admin.simulations import SimulationAdmin
from deliveries.admin.sources import SourceRequestAdmin

__all__ = [
    "AttemptAdmin",
    "BulkFixAdmin",
    "DeliveryAdmin",
    "EngineAdmin",
    "ErasureAdmin",
    "EventAdmin",
    "FailureGroupAdmin",
    "RecipeAdmin",
    "RecordAdmin",
    "ReplayAdmin",
    "SearchAdmin",
    "SimulationAdmin",
    "SourceRequestAdmin",
]
