"""What notifications keep of payloads, for the erasure of a person's data (`deliveries.erasure`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext_lazy

from deliveries.erasure.place import Place
from deliveries.erasure.rows import cut_texts
from deliveries.models.erasure import ERASED_TEXT
from notifications.models import Channel, ChannelMessage, Notification, PersonalNotice

PLACES: Final = (
    Place("notification", gettext_lazy("Notifications"), Notification, ("summary",), cut_texts),
    Place(
        "channel_message",
        gettext_lazy("Messages to channels"),
        ChannelMessage,
        ("text", "error"),
        cut_texts,
        store="notification__store",
    ),
    Place("personal_notice", gettext_lazy("Notices to staff"), PersonalNotice, ("text", "mail_error"), cut_texts),
    Place("channel", gettext_lazy("Channels"), Channel, ("name", "recipients", "sender", "last_error"), None, store=""),
)
WITHOUT_PAYLOAD: Final = {
    "notifications.notification": {"resolved_by": "a name of staff", "key": "a key made by Hookdesk"},
    "notifications.channel": {
        "kind": "a name of a kind",
        "options": "an encrypted credential",
        "account_sid": "an id at Twilio",
        "auth_token": "an encrypted credential",
    },
    "notifications.channelmessage": {"recipient": "an address of staff"},
    "notifications.openincident": {
        "recipient": "an address of staff",
        "reference": "an id at the receiver",
        "acknowledged_by": "a name of staff",
    },
    "notifications.personalnotice": {"key": "a key made by Hookdesk", "path": "a page of the desk"},
}


def on_payloads_erased(kind: str, keys: Sequence[Any]) -> None:
    """Listener of `hooks.payloads_erased`: what was said about a delivery quotes its payload, in whatever form."""
    if kind != "delivery" or not keys:
        return
    ids = list(Notification.objects.filter(delivery__in=keys).values_list("id", flat=True))
    Notification.objects.filter(id__in=ids).update(summary=ERASED_TEXT)
    ChannelMessage.objects.filter(notification__in=ids).update(text=ERASED_TEXT)
