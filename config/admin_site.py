"""The admin site: Django's own, under our name."""

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class HookdeskAdminConfig(AdminConfig):
    default_site = "config.admin_site.HookdeskAdminSite"


class HookdeskAdminSite(AdminSite):
    site_header = "Hookdesk"
    site_title = "Hookdesk"
    index_title = "Dashboard"
