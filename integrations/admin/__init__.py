from integrations.admin.integration import IntegrationAdmin
from integrations.admin.store import AuditEntryAdmin, StoreAdmin

__all__ = ["AuditEntryAdmin", "IntegrationAdmin", "StoreAdmin"]
