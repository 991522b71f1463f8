"""From a notification that opens to its messages. No network access here."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from django.db import transaction

from notifications.channels import CHANNEL_KINDS
from notifications.models import Channel, ChannelMessage, Notification, OpenIncident
from notifications.texts import after_quiet_hours, end_of_slot, window_of

logger = logging.getLogger("hookdesk.notifications")

#: In ascending order.
_LEVELS: list[str] = [Notification.Level.INFO, Notification.Level.WARNING, Notification.Level.ERROR]


_Told = tuple[int, str, uuid.UUID | None]


def queue_messages(notification_ids: Collection[uuid.UUID], now: datetime, *, again: bool = False) -> int:
    """Queue messages for these notifications, which have just opened; returns how many.

    One message per incident, recipient and window: the unique constraint refuses a second one in the same window,
    and a message younger than the window's length prevents one in the next. Where the receiver is told of the end
    too, one message per opening counts instead. `again`: tell it once more, although it knows the incident as open.
    """
    channels = list(Channel.objects.filter(is_enabled=True).prefetch_related("stores", "integrations"))
    if not channels or not notification_ids:
        return 0
    opened = list(Notification.objects.filter(id__in=notification_ids))
    longest = max(channel.window_minutes for channel in channels)
    recent: dict[_Told, datetime] = {
        (channel_id, recipient, notification_id): created_at
        for channel_id, recipient, notification_id, created_at in ChannelMessage.objects.filter(
            notification__in=opened, created_at__gt=now - timedelta(minutes=longest)
        )
        .order_by("created_at")
        .values_list("channel_id", "recipient", "notification_id", "created_at")
    }
    known = _known(opened, again=again) if any(_is_followed(channel) for channel in channels) else set()
    messages = [
        message
        for channel in channels
        for message in _messages_of(channel, opened, now)
        if not (
            (channel.pk, message.recipient, message.notification_id) in known
            if _is_followed(channel)
            else _is_recent(channel, recent.get((channel.pk, message.recipient, message.notification_id)), now)
        )
    ]
    ChannelMessage.objects.bulk_create(messages, ignore_conflicts=True, batch_size=500)
    if any(message.send_after <= now for message in messages):
        transaction.on_commit(enqueue, robust=True)
    return len(messages)


def _is_followed(channel: Channel) -> bool:
    """Whether its receiver is told when an incident is over."""
    kind = CHANNEL_KINDS.get(channel.kind)
    return kind is not None and "resolved" in kind.follows


def _known(opened: Collection[Notification], *, again: bool) -> set[_Told]:
    """Return who knows these incidents as open, or is about to."""
    pending = [ChannelMessage.Status.WAITING, ChannelMessage.Status.SENDING]
    found = ChannelMessage.objects.filter(notification__in=opened, status__in=pending)
    known: set[_Told] = set(found.values_list("channel_id", "recipient", "notification_id"))
    if not again:
        told = OpenIncident.objects.filter(notification__in=opened)
        known |= set(told.values_list("channel_id", "recipient", "notification_id"))
    return known


def _is_recent(channel: Channel, last: datetime | None, now: datetime) -> bool:
    return last is not None and now - last < timedelta(minutes=channel.window_minutes)


def _messages_of(channel: Channel, notifications: Collection[Notification], now: datetime) -> Iterator[ChannelMessage]:
    moment = end_of_slot(now, channel.digest_minutes) if channel.digest_minutes else now
    send_after = after_quiet_hours(moment, channel.quiet_from, channel.quiet_until)
    # Who is told of each end is told of each beginning, too: their window is the second.
    window = int(now.timestamp()) if _is_followed(channel) else window_of(now, channel.window_minutes)
    for notification in notifications:
        if not is_wanted(channel, notification):
            continue
        for recipient in dict.fromkeys(channel.recipients):
            yield ChannelMessage(
                channel=channel,
                notification=notification,
                recipient=str(recipient)[:200],
                send_after=send_after,
                window=window,
                created_at=now,
            )


def is_wanted(channel: Channel, notification: Notification) -> bool:
    """Whether the channel accepts notifications of this level, store and integration."""
    if _LEVELS.index(notification.level) < _LEVELS.index(channel.level):
        return False
    stores = {store.pk for store in channel.stores.all()}
    integrations = {integration.pk for integration in channel.integrations.all()}
    return (not stores or notification.store_id in stores) and (
        not integrations or notification.integration_id in integrations
    )


def enqueue() -> None:
    """Have a worker send queued messages.

    If the task queue is down they are up to a minute late: the schedule sends them.
    """
    from django_q.tasks import async_task

    try:
        async_task("notifications.tasks.send_waiting")
    except Exception:
        logger.warning("task queue unavailable: messages wait for the next scheduled run", exc_info=True)
