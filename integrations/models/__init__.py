from integrations.models.approval_rule import LiftRequest
from integrations.models.audit import AuditEntry
from integrations.models.integration import Integration, IntegrationHealth, Secret
from integrations.models.objectives import Objectives
from integrations.models.retention import Retention
from integrations.models.source import Source, SourceAddress, SourceCount, SourceSecret
from integrations.models.staff import StaffProfile
from integrations.models.store import AccessToken, ConfigVersion, Store
from integrations.models.turn import TurnContext

__all__ = [
    "AccessToken",
    "AuditEntry",
    "ConfigVersion",
    "Integration",
    "IntegrationHealth",
    "LiftRequest",
    "Objectives",
    "Retention",
    "Secret",
    "Source",
    "SourceAddress",
    "SourceCount",
    "SourceSecret",
    "StaffProfile",
    "Store",
    "TurnContext",
]
