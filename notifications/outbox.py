"""Sending queued messages: claim by compare-and-swap, send outside any transaction, record.

A message whose worker died while sending is not sent again, because it may have arrived; it is shown as failed. A
channel that cannot be reached is skipped until the next run, so that it does not delay the others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from integrations.foundation.languages import english, staff_language
from notifications import follow_ups
from notifications.batches import batches_of, due_messages
from notifications.channels import ChannelError, provider_for
from notifications.messages import compose, test_message
from notifications.models import INTERRUPTED, WITH_OTHERS, Channel, ChannelMessage, Notification

logger = logging.getLogger("hookdesk.notifications")

Status = ChannelMessage.Status
#: Pauses before the second and the third attempt.
RETRIES = (timedelta(minutes=1), timedelta(minutes=5))
#: A message that has been sending for this long has lost its worker.
LEASE = timedelta(minutes=5)
#: One run ends after this many seconds; the next one continues.
RUN_SECONDS = 60.0
BATCH = 100


@dataclass(slots=True)
class SentCount:
    """Result of a run. `dropped`: messages whose notification was resolved before they were sent."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0


def send_waiting(now: datetime | None = None) -> SentCount:
    """Send what is due. Never raises for a channel's failure, which is recorded on message and channel."""
    now = now or timezone.now()
    count = SentCount()
    _give_up_interrupted(now)
    unreachable: set[int] = set()
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        due = due_messages(now, unreachable, BATCH)
        if not due:
            break
        for together in batches_of(due, now):
            channel = together[0].channel
            if channel.pk in unreachable or time.monotonic() >= deadline:
                continue
            wanted = _drop_settled(together, count)
            claimed = _claim(wanted, now)
            if claimed and not _send(claimed, now, count):
                unreachable.add(channel.pk)
    return count


def _drop_settled(messages: Sequence[ChannelMessage], count: SentCount) -> list[ChannelMessage]:
    """Drop messages whose notification has been resolved or snoozed, or whose channel has been disabled."""
    now = timezone.now()
    wanted = [message for message in messages if message.channel.is_enabled and not _is_over(message.notification, now)]
    unwanted = {message.pk for message in messages} - {message.pk for message in wanted}
    if unwanted:
        dropped, _ = ChannelMessage.objects.filter(pk__in=unwanted, status=Status.WAITING).delete()
        count.dropped += dropped
    return wanted


def _is_over(notification: Notification | None, now: datetime) -> bool:
    if notification is None:
        return True
    case = notification.failure_group
    is_resolved = notification.level != Notification.Level.INFO and notification.status == Notification.Status.RESOLVED
    return is_resolved or (case is not None and case.is_snoozed_at(now))


def _claim(messages: Sequence[ChannelMessage], now: datetime) -> list[ChannelMessage]:
    """Claim `messages`; return those that no other worker has claimed."""
    with transaction.atomic():
        waiting = ChannelMessage.objects.filter(pk__in=[message.pk for message in messages], status=Status.WAITING)
        locked = waiting.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        mine = set(locked.values_list("pk", flat=True))
        ChannelMessage.objects.filter(pk__in=mine).update(
            status=Status.SENDING, attempts=F("attempts") + 1, send_after=now + LEASE
        )
    claimed = [message for message in messages if message.pk in mine]
    for message in claimed:
        message.attempts += 1
    return claimed


def _send(messages: Sequence[ChannelMessage], now: datetime, count: SentCount) -> bool:
    """Send as one message and record; False if the channel cannot be reached now."""
    channel, recipient = messages[0].channel, messages[0].recipient
    told = [message.notification for message in messages if message.notification is not None]
    outgoing = compose(channel, recipient, told, "opened", now, key=f"{messages[0].pk}")
    try:
        with staff_language():
            reference = provider_for(channel).send(outgoing)
    except ChannelError as error:
        _record_failure(messages, error, now, count)
        return error.permanent
    except Exception as error:  # a failing provider must not stop the other channels
        logger.exception("channel %s", channel)
        _record_failure(messages, ChannelError(f"{type(error).__name__}: {error}", permanent=True), now, count)
        return True
    _sending(messages[1:]).update(status=Status.SENT, sent_at=now, text=WITH_OTHERS, error="")
    _sending(messages[:1]).update(status=Status.SENT, sent_at=now, text=outgoing.text, error="")
    Channel.objects.filter(pk=channel.pk).update(last_error="", last_sent_at=now)
    follow_ups.remember(channel, recipient, told, reference if len(told) == 1 else "", now)
    count.sent += 1
    logger.info("sent a message to %s through %s", recipient, channel)
    return True


def _record_failure(messages: Sequence[ChannelMessage], error: ChannelError, now: datetime, count: SentCount) -> None:
    text = error.message.replace("\0", "")
    attempts = max(message.attempts for message in messages)
    if error.permanent or attempts > len(RETRIES):
        _sending(messages).update(status=Status.FAILED, error=text)
        count.failed += 1
    else:
        _sending(messages).update(status=Status.WAITING, error=text, send_after=now + RETRIES[attempts - 1])
    Channel.objects.filter(pk=messages[0].channel_id).update(last_error=text)


def _sending(messages: Sequence[ChannelMessage]) -> QuerySet[ChannelMessage]:
    return ChannelMessage.objects.filter(pk__in=[message.pk for message in messages], status=Status.SENDING)


def _give_up_interrupted(now: datetime) -> None:
    lost = ChannelMessage.objects.filter(status=Status.SENDING, send_after__lt=now)
    lost.update(status=Status.FAILED, error=INTERRUPTED)


def send_test(*, channel: Channel, recipient: str, now: datetime | None = None) -> int | None:
    """Send a test message immediately, ignoring quiet hours; returns the receiver's status, if the kind learns it.

    Raises ChannelError; records the outcome on the channel.
    """
    now = now or timezone.now()
    found = Channel.objects.filter(pk=channel.pk)
    try:
        provider = provider_for(channel)
        try:
            with english():  # it is kept with the channel
                provider.check_recipient(recipient)
        except ValueError as error:
            raise ChannelError(str(error), permanent=True) from error
        with staff_language():
            provider.send(test_message(channel, recipient, now))
    except ChannelError as error:
        found.update(last_error=error.message)
        raise
    found.update(last_error="", last_sent_at=now)
    return provider.status


def prune_messages(before: datetime, limit: int = 1_000) -> int:
    """Delete finished messages older than `before`, at most `limit`; returns how many."""
    done = ChannelMessage.objects.filter(status__in=[Status.SENT, Status.FAILED], created_at__lt=before)
    ids = list(done.order_by("created_at").values_list("id", flat=True)[:limit])
    ChannelMessage.objects.filter(id__in=ids).delete()
    return len(ids)
