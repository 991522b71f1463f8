"""What django-q2 runs for notifications. The work is in the database, so a lost or repeated task is harmless."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from notifications import follow_ups, outbox, personal, services


def send_waiting() -> str:
    """Runs when a notification opens, and each minute for messages held by quiet hours or a digest.

    Also tells receivers what became of the incidents they know, tells those who may approve what awaits approval, and
    sends what is meant for one person.
    """
    count = outbox.send_waiting()
    count.sent += follow_ups.send_follow_ups()
    personal.tell_approvers(timezone.now())
    count.sent += personal.send_mails(timezone.now())
    return f"{count.sent} sent, {count.failed} failed, {count.dropped} dropped"


def prune() -> int:
    """Daily: delete what is older than RETENTION_DAYS."""
    before = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    total = 0
    for forget in (outbox.prune_messages, services.prune_notifications, personal.prune_notices):
        while (forgotten := forget(before)) > 0:
            total += forgotten
    return total
