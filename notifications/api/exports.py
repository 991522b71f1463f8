"""Notifications as a file (docs/contract.md#exports)."""

from __future__ import annotations

from integrations.api.exports import export_view
from notifications import exported
from notifications.api.views import STATUS, notifications_asked

#: By the name in the path.
VIEWS = {"notifications": export_view("notifications", exported.NOTIFICATIONS, notifications_asked, [STATUS])}
