"""Combines due messages, so that an outage does not cause hundreds of them.

A recipient of a channel gets single messages for the first few incidents. Further incidents within some minutes are
combined into one message every few minutes. Channels with a digest always combine all incidents of a slot; kinds that
track incidents never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, QuerySet

from notifications.channels import CHANNEL_KINDS
from notifications.models import WITH_OTHERS, ChannelMessage

Status = ChannelMessage.Status
#: Messages about single incidents that a recipient of a channel gets within `ALONE_WINDOW`.
ALONE_LIMIT = 5
ALONE_WINDOW = timedelta(minutes=10)
#: Beyond these, the interval between messages about all incidents opened since the last one.
GATHERED_EVERY = timedelta(minutes=5)
#: Maximum incidents of one message; it names a few and counts the others.
MOST_TOGETHER = 2_000

#: What a message needs besides itself.
_SHOWN = ("channel", "notification__store", "notification__integration", "notification__failure_group")

_Pair = tuple[int, str]


@dataclass(slots=True)
class _Recent:
    """The messages a recipient got from a channel within `ALONE_WINDOW`."""

    count: int = 0
    last: datetime | None = None


def due_messages(now: datetime, unreachable: set[int], limit: int | None = None) -> list[ChannelMessage]:
    """Return the messages due now, the oldest first, except those of unreachable channels."""
    due = ChannelMessage.objects.filter(status=Status.WAITING, send_after__lte=now).exclude(channel_id__in=unreachable)
    rows = due.select_related(*_SHOWN)
    return list(rows.order_by("send_after", "id")[:limit])


def batches_of(due: Sequence[ChannelMessage], now: datetime) -> list[list[ChannelMessage]]:
    """Return the due messages in batches, each sent as one message. Those that must wait are postponed and left out."""
    pairs: dict[_Pair, list[ChannelMessage]] = {}
    for message in due:
        pairs.setdefault((message.channel_id, message.recipient), []).append(message)
    recent = _recently_told(pairs, now)
    batches: list[list[ChannelMessage]] = []
    for pair, messages in pairs.items():
        told = recent.get(pair, _Recent())
        room = ALONE_LIMIT - told.count
        kind = CHANNEL_KINDS.get(messages[0].channel.kind)
        if kind is not None and not kind.gathers:
            batches += [[message] for message in messages]
        elif messages[0].channel.digest_minutes:
            batches.append(_all_due(pair, now))
        elif len(messages) <= room and _count_due(pair, now) <= room:
            batches += [[message] for message in messages]
        elif told.last is not None and told.last > now - GATHERED_EVERY:
            _waiting(pair, now).update(send_after=told.last + GATHERED_EVERY)
        else:
            batches.append(_all_due(pair, now))
    return batches


def _recently_told(pairs: dict[_Pair, list[ChannelMessage]], now: datetime) -> dict[_Pair, _Recent]:
    sent = ChannelMessage.objects.filter(
        status=Status.SENT,
        sent_at__gt=now - ALONE_WINDOW,
        channel_id__in={channel for channel, _ in pairs},
        recipient__in={recipient for _, recipient in pairs},
    ).exclude(text=WITH_OTHERS)
    told = sent.values_list("channel_id", "recipient").annotate(count=Count("id"), last=Max("sent_at")).order_by()
    return {(channel, recipient): _Recent(count, last) for channel, recipient, count, last in told}


def _waiting(pair: _Pair, now: datetime) -> QuerySet[ChannelMessage]:
    channel, recipient = pair
    return ChannelMessage.objects.filter(
        channel_id=channel, recipient=recipient, status=Status.WAITING, send_after__lte=now
    )


def _count_due(pair: _Pair, now: datetime) -> int:
    return _waiting(pair, now).count()


def _all_due(pair: _Pair, now: datetime) -> list[ChannelMessage]:
    rows = _waiting(pair, now).select_related(*_SHOWN)
    return list(rows.order_by("send_after", "id")[:MOST_TOGETHER])
