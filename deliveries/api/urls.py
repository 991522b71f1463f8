"""Ingest, under /api/v1/."""

from django.urls import re_path

from deliveries.api.push import EventsView, PushView

urlpatterns = [
    re_path(r"^push/?$", PushView.as_view(), name="push"),
    re_path(r"^events/?$", EventsView.as_view(), name="events"),
]
