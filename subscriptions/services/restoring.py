"""Versions of a subscription: read, compared with each other, and put back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor
from subscriptions.models import Subscription, SubscriptionVersion
from subscriptions.services.subscriptions import update_subscription
from subscriptions.services.versions import is_same, known_since

#: Versions that are listed, the latest first.
LISTED: Final = 100
#: What a version says, in the order of its comparison; parameters are not kept.
FIELDS: Final = (
    "integration", "topics", "intents", "event_names", "path", "filter", "transform", "is_ordered", "is_active",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """One version. `changed` are the fields that differ from the one before, if that is known. `is_kept` is false for
    what the subscription is now, if nobody kept it as a version.
    """

    number: int
    since: datetime
    by: str
    values: dict[str, Any]
    changed: tuple[str, ...] | None
    is_current: bool = False
    is_kept: bool = True


def versions_of(subscription: Subscription) -> list[ShownVersion]:
    """The latest first, at least one: what the subscription is now."""
    rows = SubscriptionVersion.objects.filter(subscription=subscription).select_related("integration")
    rows = rows.defer("integration__token", "integration__parameters").order_by("-number")
    kept = list(rows[: LISTED + 1])
    found: list[ShownVersion] = []
    if not kept or not is_same(subscription, kept[0]):
        since = known_since(subscription) if not kept else subscription.updated_at
        values = _values(subscription)
        changed = _changed(values, _values(kept[0])) if kept else None
        number = kept[0].number + 1 if kept else 1
        found.append(ShownVersion(number, since, "", values, changed, is_current=True, is_kept=False))
    for index, row in enumerate(kept[:LISTED]):
        values = _values(row)
        before = kept[index + 1] if index + 1 < len(kept) else None
        changed = _changed(values, _values(before)) if before is not None else None
        found.append(ShownVersion(row.number, row.since, row.changed_by, values, changed, is_current=not found))
    return found


def restored_values(version: SubscriptionVersion) -> Any:
    """What makes a subscription what this version was, for `update_subscription`. Parameters stay as they are."""
    return {name: getattr(version, name) for name in FIELDS}


def version_of(subscription: Subscription, number: int) -> SubscriptionVersion | None:
    rows = SubscriptionVersion.objects.filter(subscription=subscription, number=number, is_deleted=False)
    return rows.select_related("integration", "integration__store").first()


def restore_version(*, subscription: Subscription, version: SubscriptionVersion, actor: Actor) -> Subscription:
    """Make the subscription what it was; that is a version of its own. Raises ValidationError."""
    if version.integration.deleted_at is not None:
        name = version.integration.name
        message = _(
            "Version %(number)s went to %(name)s, which was deleted. Choose another version, or edit by hand."
        ) % {"number": version.number, "name": name}
        raise ValidationError({"integration": message})
    return update_subscription(subscription=subscription, actor=actor, **restored_values(version))


def _values(row: Subscription | SubscriptionVersion) -> dict[str, Any]:
    return {name: row.integration.name if name == "integration" else getattr(row, name) for name in FIELDS}


def _changed(values: dict[str, Any], before: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if values[name] != before[name])
