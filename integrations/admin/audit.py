"""The audit list: who changed what, when and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations import exported
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.cells import drawn
from integrations.audit_words import FILTERED, action_words, target_words
from integrations.models import AuditEntry


class TargetFilter(admin.SimpleListFilter):
    """A fixed list: finding the existing values would scan the whole table."""

    title = gettext_lazy("target type")
    parameter_name = "target_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, target_words(name)) for name in FILTERED]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(target_type=self.value()) if self.value() else queryset


class WhenFilter(admin.SimpleListFilter):
    title = gettext_lazy("when")
    parameter_name = "days"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", _("last 24 hours")), ("7", _("last 7 days")), ("30", _("last 30 days"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        days = self.value()
        if days not in ("1", "7", "30"):
            return queryset
        return queryset.filter(created_at__gte=timezone.now() - timedelta(days=int(days)))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_title = gettext_lazy("Audit")
    one_of_them = gettext_lazy("audit entry")
    field_names = {
        "actor": gettext_lazy("actor"),
        "target_name": gettext_lazy("target name"),
        "store": gettext_lazy("store"),
        "reason": gettext_lazy("reason"),
    }
    export_columns = exported.AUDIT.columns
    empty_text = gettext_lazy(
        "Whatever staff, tokens and Hookdesk itself change is recorded here: who, when, what, why."
    )
    list_display = ["at", "actor", "done", "kind", "target_name", "store", "reason"]
    list_filter = [WhenFilter, TargetFilter]
    list_select_related = ["store"]
    list_display_links = ["at"]
    search_fields = ["target_id", "actor"]
    search_help_text = gettext_lazy("Id of what was changed, or who changed it.")
    ordering = ["-id"]
    change_form_template = "admin/integrations/auditentry/change_form.html"

    @admin.display(description=gettext_lazy("time"))
    def at(self, entry: AuditEntry) -> SafeString:
        return drawn("clock", entry.created_at)

    @admin.display(description=gettext_lazy("action"), ordering="action")
    def done(self, entry: AuditEntry) -> str:
        return action_words(entry.action)

    @admin.display(description=gettext_lazy("target type"), ordering="target_type")
    def kind(self, entry: AuditEntry) -> str:
        return target_words(entry.target_type)

    def title_of_row(self, row: AuditEntry) -> str:
        words = {"actor": row.actor, "action": row.action_words, "target": row.target_words}
        return _("%(actor)s: %(action)s %(target)s") % words

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        wanted = search_term.strip()
        return (queryset.filter(Q(target_id=wanted) | Q(actor__iexact=wanted)) if wanted else queryset), False
