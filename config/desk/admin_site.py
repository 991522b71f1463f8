"""The admin site: Django's own, with a dashboard as first page and a header on every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, URLResolver, path, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from integrations.foundation.version import VERSION


class HookdeskAdminConfig(AdminConfig):
    default_site = "config.desk.admin_site.HookdeskAdminSite"


@dataclass(frozen=True)
class NavItem:
    label: str
    url: str
    is_current: bool = False
    count: str = ""


@dataclass(frozen=True)
class NavSection:
    label: str
    items: list[NavItem]

    @property
    def is_current(self) -> bool:
        return any(item.is_current for item in self.items)


#: The main menu: label, app, model.
NAV = (
    (_("Search"), "deliveries", "savedview"),
    (_("Deliveries"), "deliveries", "delivery"),
    (_("Cases"), "deliveries", "failuregroup"),
    (_("Sources"), "integrations", "source"),
    (_("Integrations"), "integrations", "integration"),
    (_("Subscriptions"), "subscriptions", "subscription"),
    (_("Stores"), "integrations", "store"),
)
#: The "More" menu.
MORE = (
    (_("Ingest"), ((_("Events"), "deliveries", "event"), (_("Records"), "deliveries", "record"),
                      (_("Requests at sources"), "deliveries", "sourcerequest"),
                      (_("Topics"), "subscriptions", "topic"))),
    (_("Operations"), ((_("Bulk resends"), "deliveries", "replay"), (_("Bulk fixes"), "deliveries", "bulkfix"),
              (_("Recipes"), "deliveries", "recipe"), (_("Time machine"), "deliveries", "simulation"),
              (_("Attempts"), "deliveries", "attempt"), (_("Engines"), "deliveries", "engine"),
              (_("Task queue"), "django_q", "schedule"))),
    (_("Administration"), ((_("Notifications"), "notifications", "notification"),
               (_("Channels"), "notifications", "channel"), (_("Audit"), "integrations", "auditentry"),
               (_("Erasures"), "deliveries", "erasure"),
               (_("Staff"), "auth", "user"), (_("Roles"), "auth", "group"))),
)  # fmt: skip


class HookdeskAdminSite(AdminSite):
    site_header = "Hookdesk"
    site_title = "Hookdesk"
    index_title = _("Dashboard")
    enable_nav_sidebar = False
    site_url = None

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        from config.desk.reauthentication import guarded

        return super().admin_view(guarded(view), cacheable)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from integrations.admin.base import DeskAdmin

        own = [
            path("desk/heartbeat/", self.admin_view(self.heartbeat), name="desk_heartbeat"),
            path("desk/confirm/", self.admin_view(self.confirm), name="desk_confirm"),
            path("desk/time-zone/", self.admin_view(self.time_zone), name="desk_zone"),
            path("desk/fragment/", self.admin_view(self.dashboard_fragment), name="desk_fragment"),
        ]
        for model, page in self._registry.items():
            if not isinstance(page, DeskAdmin):
                raise ImproperlyConfigured(
                    f"The admin of {model._meta.label} is not a DeskAdmin: its rows would have two addresses."
                )
        # No page of the desk has a "view site" link.
        return [*own, *(found for found in super().get_urls() if getattr(found, "name", "") != "view_on_site")]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        """Only for fields that an admin offers with autocomplete."""
        app, name, field = (request.GET.get(each, "") for each in ("app_label", "model_name", "field_name"))
        offered = {
            (model._meta.app_label, model._meta.model_name, name)
            for model, page in self._registry.items()
            for name in page.get_autocomplete_fields(request)
        }
        if (app, name, field) not in offered:
            raise Http404("No form offers this.")
        return super().autocomplete_view(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        from config.desk.login_page import login_page

        return login_page(self, request, extra_context or {})

    def confirm(self, request: HttpRequest) -> HttpResponse:
        """Ask for the password again; then continue to the requested page or with the stored form."""
        from config.desk.confirm_page import confirm_page

        return confirm_page(request, {**self.each_context(request), "title": _("Confirm that it is you")})

    def time_zone(self, request: HttpRequest) -> HttpResponse:
        from config.desk.time_zone import zone_page

        return zone_page(request, {**self.each_context(request), "title": _("Language and time zone")})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from config.desk.dashboard import visible_heartbeat

        context = super().each_context(request)
        context["hookdesk_version"] = VERSION
        if context["has_permission"]:
            # Lazy: pages without the header (fragments, JSON) do not query this.
            context["heartbeat"] = SimpleLazyObject(lambda: visible_heartbeat(request))
            context["desk_nav"] = SimpleLazyObject(lambda: self._nav(request))
            context["desk_more"] = SimpleLazyObject(lambda: self._more(request))
        return context

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Of one app only: the desk has a menu of its own, and Django would make this list for every page."""
        return super().get_app_list(request, app_label) if app_label else []

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from config.desk.dashboard import dashboard_context

        context = {**self.each_context(request), "title": _("Dashboard"), **dashboard_context(request)}
        return TemplateResponse(request, "admin/dashboard.html", context)

    def dashboard_fragment(self, request: HttpRequest) -> HttpResponse:
        from config.desk.dashboard import dashboard_context

        return TemplateResponse(request, "admin/desk/dashboard_live.html", dashboard_context(request))

    def heartbeat(self, request: HttpRequest) -> HttpResponse:
        from config.desk.dashboard import visible_heartbeat

        return TemplateResponse(request, "admin/desk/heartbeat.html", {"heartbeat": visible_heartbeat(request)})

    def _nav(self, request: HttpRequest) -> list[NavItem]:
        from config.desk.dashboard import open_group_count

        items = []
        for label, app, model in NAV:
            if (url := self._list_url(request, app, model)) is not None:
                count = open_group_count(request) if model == "failuregroup" else ""
                items.append(NavItem(str(label), url, request.path.startswith(url), count))
        return items

    def _more(self, request: HttpRequest) -> list[NavSection]:
        sections = []
        for label, models in MORE:
            urls = ((name, self._list_url(request, app, model)) for name, app, model in models)
            items = [NavItem(str(name), url, request.path.startswith(url)) for name, url in urls if url is not None]
            if items:
                sections.append(NavSection(str(label), items))
        return sections

    def _list_url(self, request: HttpRequest, app: str, model: str) -> str | None:
        page = self._registry.get(apps.get_model(app, model))
        if page is None or not page.has_view_or_change_permission(request):
            return None
        try:
            return reverse(f"admin:{app}_{model}_changelist")
        except NoReverseMatch:
            return None
