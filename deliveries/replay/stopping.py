"""What a replay writes about its own course: audit entries, and the notification when its canary stops it."""

from __future__ import annotations

from datetime import datetime

from deliveries import hooks
from deliveries.models import Delivery, Replay, ReplayItem
from integrations.foundation.audit import HOOKDESK, Actor, record_change


def stop_replay(replay: Replay, why: str, now: datetime) -> None:
    """Pause it because too many failed again. Inside the transaction that holds its row."""
    before = replay.status
    replay.status = Replay.Status.PAUSED
    replay.stopped_because = why
    replay.stepped_at = now
    replay.save(update_fields=["status", "stopped_because", "stepped_at"])
    audit_replay(replay, HOOKDESK, "stop", before, reason=why)
    _announce(replay, why, now)


def announcement_of(replay: Replay) -> str:
    """The key of its notification."""
    return f"replay:{replay.pk}"


def _announce(replay: Replay, why: str, now: datetime) -> None:
    items = ReplayItem.objects.filter(replay=replay, is_left_alone=False)
    latest = list(items.order_by("-delivery_id").values_list("delivery_id", flat=True)[:100])
    failing = list(Delivery.objects.filter(id__in=latest).failing().values_list("store_id", "integration_id"))
    store_id = replay.store_id or (failing[0][0] if failing else None)
    if store_id is None:
        return
    integrations = {integration_id for _, integration_id in failing}
    left = max(0, replay.total - replay.done)
    text = f"A bulk resend stopped by itself: {why}. {left:,} of {replay.total:,} deliveries have not been resent."
    integration_id = integrations.pop() if len(integrations) == 1 else None
    hooks.announced(store_id, integration_id, announcement_of(replay), "error", text, now)


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
