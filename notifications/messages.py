"""From notifications to the message that a channel sends, in the language of the staff."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.foundation.languages import staff_language
from notifications.channels import OutgoingMessage
from notifications.channels.base import Event
from notifications.models import Channel, Notification
from notifications.sms_text import sms
from notifications.texts import Incident, email_text, harmless, sms_text, subject, title


def compose(
    channel: Channel,
    recipient: str,
    notifications: Sequence[Notification],
    event: Event,
    now: datetime,
    *,
    key: str,
    reference: str = "",
    by: str = "",
) -> OutgoingMessage:
    """Return the message about these. `key`: the same for all attempts to send it. `by`: who acknowledged it."""
    incidents = tuple(_incident(channel, each, event, by) for each in notifications)
    link = f"{settings.PUBLIC_URL}/admin/notifications/notification/"
    with staff_language():
        if event == "opened":
            head = subject(incidents)
            text = sms_text(incidents, link) if channel.kind == "sms" else email_text(incidents, link)
        else:
            head = text = title(incidents, event)
    return OutgoingMessage(
        recipient, head, text, event, incidents, link, reference, _message_id(channel, event, key), now
    )


def test_message(channel: Channel, recipient: str, now: datetime) -> OutgoingMessage:
    link = f"{settings.PUBLIC_URL}/admin/"
    with staff_language():
        head = _("[Hookdesk] test")
        words = _("Hookdesk: this is a test of the channel %(name)s.") % {"name": channel.name}
    text = sms(words, link) if channel.kind == "sms" else f"{words} {link}"
    identity = _message_id(channel, "test", now.isoformat())
    return OutgoingMessage(recipient, head, text, event="test", id=identity, now=now)


def _incident(channel: Channel, notification: Notification, event: Event, by: str) -> Incident:
    case = notification.failure_group
    if event == "resolved":
        by = notification.resolved_by or ""
    return Incident(
        level=notification.level,
        store=harmless(notification.store.name),
        integration=harmless(notification.integration.name) if notification.integration else "",
        summary=harmless(notification.summary),
        occurrences=notification.count,
        link=_link_to(channel, notification),
        key=f"hookdesk-{case.public_id if case else notification.public_id}",
        case=case.public_id if case else "",
        since=(case.first_seen if case else notification.created_at).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        by="Hookdesk" if by == "auto" else harmless(by),
    )


def _link_to(channel: Channel, notification: Notification) -> str:
    """Where to act. SMS and e-mail lead to the notification, which lists who was told; all else to the case."""
    if notification.failure_group_id is None or channel.kind in ("sms", "email"):
        path = reverse("admin:notifications_notification_change", args=[notification.pk])
    else:
        path = reverse("admin:deliveries_failuregroup_change", args=[notification.failure_group_id])
    return f"{settings.PUBLIC_URL}{path}"


def _message_id(channel: Channel, event: str, key: str) -> str:
    return "msg_" + sha256(f"{channel.pk}:{event}:{key}".encode()).hexdigest()[:32]
