"""Paths below `/api/v1/` that belong to notifications."""

from integrations.api.routes import both
from notifications.api import views

urlpatterns = [
    *both("notifications", views.NotificationsView.as_view(), "notifications"),
    *both("notifications/<str:notification_id>", views.NotificationView.as_view(), "notification"),
    *both("notifications/<str:notification_id>/resolve", views.ResolveView.as_view(), "resolve-notification"),
]
