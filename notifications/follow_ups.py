"""Telling receivers what became of the incidents they know: somebody has it, or it is resolved.

What a receiver knows is a row of `OpenIncident`; each run compares it with the notification. So an end reaches the
receiver however it came about, and once. Messages are sent outside any transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from integrations.foundation.languages import staff_language
from notifications.channels import CHANNEL_KINDS, ChannelError, following, provider_for
from notifications.channels.base import Event
from notifications.messages import compose
from notifications.models import Channel, Notification, OpenIncident
from notifications.routing import enqueue, queue_messages

logger = logging.getLogger("hookdesk.notifications")

#: Pauses after the first, second, … failed attempt; then it is given up.
RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4))
#: A follow-up that has been sending for this long has lost its worker, and is sent again.
LEASE = timedelta(minutes=5)
#: Follow-ups of one run, per event; the next run continues.
BATCH = 100


def remember(
    channel: Channel, recipient: str, notifications: Sequence[Notification], reference: str, now: datetime
) -> None:
    """Record that a receiver knows these incidents as open, if it is told later what became of them."""
    kind = CHANNEL_KINDS[channel.kind]
    if not kind.follows:
        return
    for notification in notifications:
        # What is merely informational is never open, but a pager would keep it for ever.
        if kind.gathers and notification.level == Notification.Level.INFO:
            continue
        OpenIncident.objects.update_or_create(
            channel=channel,
            recipient=recipient,
            notification=notification,
            defaults={
                "reference": reference[:300], "told_at": now, "try_after": now, "attempts": 0,
                "acknowledged_by": "", "is_acknowledged": False,
            },
        )  # fmt: skip


def expect(found: QuerySet[OpenIncident]) -> None:
    """Have a worker send follow-ups after the commit, if these rows exist: something became of their incidents."""
    if found.exists():
        transaction.on_commit(enqueue, robust=True)


def on_case_assigned(group_id: int, user_id: int, by: str, note: str, now: datetime) -> None:
    """Listener of `hooks.case_assigned`: receivers that were told of the case learn that somebody has it."""
    from django.contrib.auth.models import User

    try:
        with transaction.atomic():
            name = User.objects.get(pk=user_id).get_username()[:200]
            told = OpenIncident.objects.filter(
                notification__failure_group=group_id, channel__kind__in=following("acknowledged"), is_acknowledged=False
            )
            if told.update(acknowledged_by=name):
                transaction.on_commit(enqueue, robust=True)
    except Exception:  # whatever goes wrong here, the case is assigned
        logger.exception("could not acknowledge case %s", group_id)


def send_follow_ups(now: datetime | None = None) -> int:
    """Send what is due; returns how many messages. Never raises for a channel's failure, which it records."""
    now = now or timezone.now()
    due = OpenIncident.objects.filter(try_after__lte=now, channel__is_enabled=True).select_related(
        "channel", "notification__store", "notification__integration", "notification__failure_group"
    )
    sent = 0
    for together in _batches(due.filter(notification__status=Notification.Status.RESOLVED).order_by("id")[:BATCH]):
        sent += _send(together, "resolved", now)
    unknown = due.filter(notification__status=Notification.Status.OPEN, is_acknowledged=False)
    for told in unknown.exclude(acknowledged_by="").order_by("id")[:BATCH]:
        case = told.notification.failure_group
        if case is not None and not case.is_snoozed_at(now):
            sent += _send([told], "acknowledged", now)
    return sent


def _batches(rows: QuerySet[OpenIncident]) -> list[list[OpenIncident]]:
    """Messages that cannot be changed are followed up by one for all, so that an outage's end is no flood."""
    batches: list[list[OpenIncident]] = []
    together: dict[tuple[int, str], list[OpenIncident]] = {}
    for told in rows:
        kind = CHANNEL_KINDS.get(told.channel.kind)
        if kind is None or told.reference or not kind.gathers:
            batches.append([told])
        else:
            together.setdefault((told.channel_id, told.recipient), []).append(told)
    return [*batches, *together.values()]


def _send(rows: Sequence[OpenIncident], event: Event, now: datetime) -> bool:
    """Claim, send as one message and record; whether it was sent."""
    mine = [told for told in rows if _claim(told, now)]
    if not mine:
        return False
    first = mine[0]
    told_of = [told.notification for told in mine]
    try:
        message = compose(
            first.channel, first.recipient, told_of, event, now,
            key=f"{first.pk}:{first.told_at.isoformat()}", reference=first.reference, by=first.acknowledged_by,
        )  # fmt: skip
        with staff_language():
            provider_for(first.channel).send(message)
    except ChannelError as error:
        _record_failure(mine, error, event, now)
        return False
    except Exception as error:  # a failing provider must not stop the other channels
        logger.exception("channel %s", first.channel)
        _record_failure(mine, ChannelError(f"{type(error).__name__}.", permanent=True), event, now)
        return False
    Channel.objects.filter(pk=first.channel_id).update(last_error="", last_sent_at=now)
    _finish(mine, event, now)
    logger.info("told %s through %s: %s", first.recipient, first.channel, event)
    return True


def _claim(told: OpenIncident, now: datetime) -> bool:
    unchanged = OpenIncident.objects.filter(pk=told.pk, try_after=told.try_after, told_at=told.told_at)
    told.attempts += 1
    return bool(unchanged.update(try_after=now + LEASE, attempts=F("attempts") + 1))


def _finish(rows: Sequence[OpenIncident], event: Event, now: datetime) -> None:
    found = OpenIncident.objects.filter(pk__in=[told.pk for told in rows])
    if event == "acknowledged":
        found.update(is_acknowledged=True, attempts=0, try_after=now)
        return
    found.delete()
    # One that opened again meanwhile was not queued, as its receiver still knew it as open.
    reopened = Notification.objects.open().filter(id__in=[told.notification_id for told in rows])
    queue_messages(list(reopened.values_list("id", flat=True)), now)


def _record_failure(rows: Sequence[OpenIncident], error: ChannelError, event: Event, now: datetime) -> None:
    found = OpenIncident.objects.filter(pk__in=[told.pk for told in rows])
    attempts = max(told.attempts for told in rows)
    if error.permanent or attempts > len(RETRIES):
        _finish(rows, event, now)
    else:
        found.update(try_after=now + RETRIES[attempts - 1])
    Channel.objects.filter(pk=rows[0].channel_id).update(last_error=error.message.replace("\0", ""))
