from integrations.admin.integration import IntegrationAdmin
from integrations.admin.source import SourceAdmin
from integrations.admin.store import AuditEntryAdmin, StoreAdmin

__all__ = ["AuditEntryAdmin", "IntegrationAdmin", "SourceAdmin", "StoreAdmin"]
