"""Every address that Hookdesk answers to."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from config import api
from config.observability import health, metrics
from deliveries.api.receiving import receive_view
from integrations.api.routes import both

api_v1: list[URLPattern | URLResolver] = [
    path("", include("deliveries.api.urls")),
    path("", include("integrations.api.urls")),
    path("", include("subscriptions.api.urls")),
    path("", include("notifications.api.urls")),
    *both("schema", api.schema, "schema"),
    *both("docs", api.docs, "docs"),
]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("accounts/", include("config.accounts.urls")),
    path("api/v1/", include(api_v1)),
    path("in/<str:token>", receive_view, name="receive"),
    # Last: unknown API paths get a JSON error, not a page.
    re_path(r"^api/", api.not_found),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
]
handler400 = "config.api.bad_request"
handler403 = "config.api.permission_denied"
handler404 = "config.api.page_not_found"
handler500 = "config.api.server_error"
