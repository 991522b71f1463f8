"""What django-q2 runs for notifications. The work is in the database, so a lost or repeated task is harmless."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from django.db.models import Q
from django.utils import timezone

from integrations.services.retention import cutoffs_of
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
    """Daily: delete what is older than RETENTION_DAYS, or a store's own retention of notifications."""
    cutoffs = cutoffs_of("notifications", timezone.now())
    before = cutoffs.default
    assert before is not None
    forget: list[Callable[[], int]] = [
        partial(outbox.prune_messages, before),
        partial(personal.prune_notices, before),
        partial(services.prune_notifications, before, stores=~Q(store__in=list(cutoffs.of_store))),
        *(
            partial(services.prune_notifications, cutoff, stores=Q(store=store_id))
            for store_id, cutoff in cutoffs.of_store.items()
        ),
    ]
    total = 0
    for step in forget:
        while (forgotten := step()) > 0:
            total += forgotten
    return total
