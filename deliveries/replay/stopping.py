"""What a replay writes about its own course: audit entries, and the notification when its canary stops it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.db.models import QuerySet
from django.utils.translation import ngettext

from deliveries import hooks
from deliveries.models import Delivery, Replay, ReplayItem
from deliveries.replay.canary import FailedAgain
from integrations.foundation.audit import HOOKDESK, Actor, record_change
from integrations.foundation.languages import english, staff_language
from integrations.foundation.written import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: Deliveries that are looked at for the integration that is down.
LATEST: Final = 100


def stop_replay(replay: Replay, why: FailedAgain | StrOrPromise, now: datetime) -> None:
    """Pause it because too many failed again. Inside the transaction that holds its row.

    `why` is kept in English; the staff are told it in theirs.
    """
    before = replay.status
    with english():
        kept = str(why)
    replay.status = Replay.Status.PAUSED
    replay.stopped_because = kept
    replay.stepped_at = now
    replay.save(update_fields=["status", "stopped_because", "stepped_at"])
    audit_replay(replay, HOOKDESK, "stop", before, reason=kept)
    _announce(replay, why, now)


def settle_announcement(replay: Replay, by: str, now: datetime) -> None:
    """Somebody has resumed or cancelled it."""
    store_id = _store_of(replay)
    if store_id is not None:
        hooks.announcement_settled(store_id, _key_of(replay), by, now)


def _announce(replay: Replay, why: FailedAgain | StrOrPromise, now: datetime) -> None:
    store_id = _store_of(replay)
    if store_id is None:
        return
    latest = list(_items_of(replay).order_by("-delivery_id").values_list("delivery_id", flat=True)[:LATEST])
    failing = Delivery.objects.filter(id__in=latest).failing()
    integrations = set(failing.values_list("integration_id", flat=True))
    with staff_language():
        text = _stopped_words(replay, str(why))
    integration_id = integrations.pop() if len(integrations) == 1 else None
    hooks.announced(store_id, integration_id, _key_of(replay), "error", text, now)


def _stopped_words(replay: Replay, why: str) -> str:
    left = max(0, replay.total - replay.done)
    if replay.is_backfill:
        words = ngettext(
            "A backfill stopped by itself: %(why)s. %(left)s of %(total)s event has not been looked at.",
            "A backfill stopped by itself: %(why)s. %(left)s of %(total)s events have not been looked at.",
            replay.total,
        )
    else:
        words = ngettext(
            "A bulk resend stopped by itself: %(why)s. %(left)s of %(total)s delivery has not been resent.",
            "A bulk resend stopped by itself: %(why)s. %(left)s of %(total)s deliveries have not been resent.",
            replay.total,
        )
    return words % {"why": why, "left": grouped(left), "total": grouped(replay.total)}


def _key_of(replay: Replay) -> str:
    return f"replay:{replay.pk}"


def _store_of(replay: Replay) -> uuid.UUID | None:
    """Of a replay over several stores, that of its first delivery: it needs one notification, not one for each."""
    if replay.store_id is not None:
        return replay.store_id
    first = _items_of(replay).order_by("delivery_id").values("delivery_id")[:1]
    return Delivery.objects.filter(id__in=first).values_list("store_id", flat=True).first()


def _items_of(replay: Replay) -> QuerySet[ReplayItem]:
    return ReplayItem.objects.filter(replay=replay, is_left_alone=False)


def audit_replay(replay: Replay, actor: Actor, action: str, before: str | None, reason: str = "") -> None:
    record_change(
        actor=actor,
        action=action,
        target=replay,
        store=replay.store,
        before=None if before is None else {"status": before},
        after={
            "status": replay.status,
            "action": replay.action,
            "filters": replay.filters,
            "per_second": replay.per_second,
            "stop_above": replay.stop_above,
            "total": replay.total,
            "done": replay.done,
        },
        reason=reason or replay.reason,
    )
