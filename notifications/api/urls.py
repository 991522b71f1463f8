"""Paths below `/api/v1/` that belong to notifications."""

from integrations.api.routes import both
from notifications.api import channels, exports, views

urlpatterns = [
    *(
        entry
        for name, view in exports.VIEWS.items()
        for entry in both(f"exports/{name}", view.as_view(), f"export-{name}")
    ),
    *both("channels", channels.ChannelsView.as_view(), "channels"),
    *both("channels/<str:channel_id>", channels.ChannelView.as_view(), "channel"),
    *both("channels/<str:channel_id>/test", channels.ChannelTestView.as_view(), "test-channel"),
    *both("notifications", views.NotificationsView.as_view(), "notifications"),
    *both("notifications/<str:notification_id>", views.NotificationView.as_view(), "notification"),
    *both("notifications/<str:notification_id>/resolve", views.ResolveView.as_view(), "resolve-notification"),
    *both("notifications/<str:notification_id>/reopen", views.ReopenView.as_view(), "reopen-notification"),
]
