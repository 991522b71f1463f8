from integrations.admin.audit import AuditEntryAdmin
from integrations.admin.integration import IntegrationAdmin
from integrations.admin.source import SourceAdmin
from integrations.admin.store import StoreAdmin

__all__ = ["AuditEntryAdmin", "IntegrationAdmin", "SourceAdmin", "StoreAdmin"]
