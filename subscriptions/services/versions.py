"""Versions of subscriptions: written with each change, read to explain what happened before it.

The first function runs before a change and the second after it, in its transaction, under the lock of the
configuration. An event that was planned with the old configuration cannot be written any more then, so `since`, taken
under that lock, parts the events of the two versions exactly.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef

from subscriptions.explaining import Terms
from subscriptions.matching import Interest
from subscriptions.models import Subscription, SubscriptionVersion

#: What a version and a subscription both have.
_SAME: Final = (
    "topics", "intents", "event_names", "path", "filter", "transform", "is_ordered", "is_active", "integration_id",
)  # fmt: skip
#: A subscription that was saved only once has these two times this close together.
_SAVED_ONCE: Final = timedelta(seconds=1)
#: Of one subscription, the latest that are read.
MOST_READ: Final = 1_000


def keep_first_versions(ids: Collection[uuid.UUID]) -> None:
    """Write what is known of subscriptions from before versions were kept, or that were written past the services."""
    known = _latest(ids)
    rows = [_version(row, 1, known_since(row), "") for row in _rows(ids) if row.pk not in known]
    SubscriptionVersion.objects.bulk_create(rows)


def keep_versions(ids: Collection[uuid.UUID], *, by: str, now: datetime) -> None:
    """Write what these subscriptions are from `now` on, if it is new."""
    latest = _latest(ids)
    made = []
    for row in _rows(ids):
        last = latest.get(row.pk)
        if last is None or not is_same(row, last):
            made.append(_version(row, last.number + 1 if last else 1, now, by))
    SubscriptionVersion.objects.bulk_create(made)


def known_since(row: Subscription) -> datetime:
    """Since when the subscription is certain to be as it is: its last change, or when it was made."""
    return row.created_at if row.updated_at - row.created_at < _SAVED_ONCE else row.updated_at


def histories_of(rows: Iterable[Subscription]) -> dict[uuid.UUID, list[Terms]]:
    """The versions of each, oldest first. Needs no credentials of them."""
    found: defaultdict[uuid.UUID, list[SubscriptionVersion]] = defaultdict(list)
    by_id = {row.pk: row for row in rows}
    for version in SubscriptionVersion.objects.filter(subscription__in=by_id).order_by("subscription", "number"):
        found[version.subscription_id].append(version)
    return {pk: _history(row, found[pk][-MOST_READ:]) for pk, row in by_id.items()}


def terms_of(row: Subscription | SubscriptionVersion, since: datetime) -> Terms:
    """What a version wants, or the subscription as it is now."""
    is_deleted = row.is_deleted if isinstance(row, SubscriptionVersion) else row.deleted_at is not None
    return Terms(
        since=since,
        interest=Interest(tuple(row.topics), tuple(row.intents), tuple(row.event_names)),
        filter=row.filter,
        is_active=row.is_active,
        is_deleted=is_deleted,
        number=row.number if isinstance(row, SubscriptionVersion) else 0,
    )


def prune_versions(before: datetime, batch: int) -> int:
    """Delete versions that had been replaced before that time, whose events are gone; returns how many."""
    later = SubscriptionVersion.objects.filter(
        subscription=OuterRef("subscription"), number=OuterRef("number") + 1, since__lt=before
    )
    ids = list(SubscriptionVersion.objects.filter(Exists(later)).order_by("pk").values_list("pk", flat=True)[:batch])
    return SubscriptionVersion.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _history(row: Subscription, versions: list[SubscriptionVersion]) -> list[Terms]:
    history = [terms_of(version, version.since) for version in versions]
    if not versions or not is_same(row, versions[-1]):
        # Nobody kept it: read from the row, which is certain from its last change on.
        since = row.deleted_at or (known_since(row) if not versions else row.updated_at)
        history.append(terms_of(row, since))
    return history


def _rows(ids: Collection[uuid.UUID]) -> Iterable[Subscription]:
    return Subscription.objects.filter(pk__in=ids).defer("parameters").order_by("pk")


def _latest(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, SubscriptionVersion]:
    versions = SubscriptionVersion.objects.filter(subscription__in=ids).order_by("subscription", "number")
    return {version.subscription_id: version for version in versions}


def is_same(row: Subscription, version: SubscriptionVersion) -> bool:
    fields: list[tuple[Any, Any]] = [(getattr(row, name), getattr(version, name)) for name in _SAME]
    return all(one == other for one, other in fields) and version.is_deleted == (row.deleted_at is not None)


def _version(row: Subscription, number: int, since: datetime, by: str) -> SubscriptionVersion:
    return SubscriptionVersion(
        subscription_id=row.pk,
        number=number,
        since=since,
        is_deleted=row.deleted_at is not None,
        changed_by=by[:200],
        **{name: getattr(row, name) for name in _SAME},
    )
