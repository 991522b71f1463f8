"""Failure groups: failures with the same cause, handled as one. Locked by id, see `deliveries.storage.locks`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from deliveries import hooks
from deliveries.failures.fingerprint import fingerprint, former_fingerprint, normalise_message, title_of
from deliveries.failures.payload_values import values_of
from deliveries.failures.routing import Routes, routes_of
from deliveries.models import Delivery, FailureGroup
from deliveries.storage.counters import Counters
from deliveries.storage.locks import lock_groups, lock_groups_where
from integrations.foundation.audit import Actor, record_change

__all__ = [
    "Failure",
    "close_empty_groups",
    "fingerprint",
    "group_failures",
    "normalise_message",
    "reopen_group",
    "resolve_group",
]

#: Most characters of a message that a group keeps.
MESSAGE_LIMIT = 2_000

_COUNTERS = Counters(
    FailureGroup,
    unique=("integration_id", "kind", "fingerprint"),
    added=("occurrences",),
    replaced=("status", "resolved_at", "message", "title", "sample_id", "last_at"),
    computed={
        "first_at": "CASE WHEN deliveries_failuregroup.status = 'open'"
        " THEN deliveries_failuregroup.first_at ELSE excluded.first_at END",
        "returned_at": "CASE WHEN deliveries_failuregroup.status = 'open'"
        " THEN deliveries_failuregroup.returned_at ELSE excluded.last_at END",
        "return_count": "deliveries_failuregroup.return_count"
        " + CASE WHEN deliveries_failuregroup.status = 'open' THEN 0 ELSE 1 END",
    },
)

_GroupKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as shown to staff."""

    delivery_id: uuid.UUID
    store_id: uuid.UUID
    integration_id: int
    kind: str
    message: str
    #: The payload as pushed and as sent, in which values of the message are looked up.
    documents: tuple[str | bytes, ...] = ()


@dataclass(slots=True)
class _Tally:
    latest: Failure
    kind: str
    message: str
    title: str
    #: The group's fingerprint before payloads were considered.
    former: str
    count: int = 0


def group_failures(failures: Sequence[Failure], now: datetime, leaving: Collection[int] = ()) -> dict[uuid.UUID, int]:
    """Count the failures in their groups, which are created or reopened as needed; return each delivery's group.

    Inside the transaction that records the failures. `leaving` are the groups that deliveries of the same batch
    leave: locked together with the others, so that `close_empty_groups` can take no lock in the wrong order.
    `first_at` is when the group was last opened, `sample` and `message` are the latest failure's. Groups that were
    merged or split are left to `Routes`: a rule that is made meanwhile is caught up with by `settle_rules`.
    """
    tallies: dict[_GroupKey, _Tally] = {}
    key_of: dict[uuid.UUID, _GroupKey] = {}
    routes = routes_of({failure.integration_id for failure in failures})
    for failure in failures:
        key_of[failure.delivery_id] = _count(failure, tallies, routes)
    prints = {key[1] for key in tallies} | {tally.former for tally in tallies.values()}
    lock_groups_where(
        Q(id__in=set(leaving)) | Q(integration_id__in={key[0] for key in tallies}, fingerprint__in=prints)
    )
    _adopt(tallies)
    ids = _counted(tallies, now)
    return {delivery_id: ids[key] for delivery_id, key in key_of.items()}


def _count(failure: Failure, tallies: dict[_GroupKey, _Tally], routes: Routes) -> _GroupKey:
    values = values_of(failure.documents)
    digest = fingerprint(failure.kind, failure.message, values)
    former = former_fingerprint(failure.kind, failure.message)
    target = (
        routes.target_of(failure.integration_id, (digest, former), failure.message, failure.documents)
        if routes
        else None
    )
    if target is not None:
        # A target keeps its own message, whatever is routed to it.
        key = (failure.integration_id, target.fingerprint)
        fresh = _Tally(failure, target.kind, target.message, target.title, target.fingerprint)
        tally = tallies.setdefault(key, fresh)
        tally.latest = failure
    else:
        key = (failure.integration_id, digest)
        fresh = _Tally(failure, failure.kind, failure.message, title_of(failure.message, values), former)
        tally = tallies.setdefault(key, fresh)
        tally.latest, tally.message, tally.title, tally.former = failure, fresh.message, fresh.title, former
    tally.count += 1
    return key


def _adopt(tallies: dict[_GroupKey, _Tally]) -> None:
    """Groups from before payloads were considered continue under the new fingerprint, with their history.

    If the new one already has a group, the old one stays and closes when its deliveries have left it.
    """
    renamed = {(key[0], tally.former): key[1] for key, tally in tallies.items() if tally.former != key[1]}
    if not renamed:
        return
    wanted = {key[0] for key in renamed}, {key[1] for key in renamed} | set(renamed.values())
    found = FailureGroup.objects.filter(integration_id__in=wanted[0], fingerprint__in=wanted[1])
    rows = {
        (integration, print_): pk
        for integration, print_, pk in found.values_list("integration_id", "fingerprint", "id")
    }
    for (integration_id, former), new in renamed.items():
        pk = rows.get((integration_id, former))
        if pk is None or (integration_id, new) in rows:
            continue
        rows[integration_id, new] = pk
        with suppress(IntegrityError), transaction.atomic():  # another engine has created the new one in the meantime
            FailureGroup.objects.filter(id=pk).update(fingerprint=new)


def _counted(tallies: Mapping[_GroupKey, _Tally], now: datetime) -> dict[_GroupKey, int]:
    rows = [
        {
            "store_id": tally.latest.store_id,
            "integration_id": integration_id,
            "kind": tally.kind[:50],
            "fingerprint": digest,
            "message": tally.message.replace("\0", "")[:MESSAGE_LIMIT],
            "title": tally.title.replace("\0", ""),
            "status": FailureGroup.Status.OPEN.value,
            "occurrences": tally.count,
            "sample_id": tally.latest.delivery_id,
            "first_at": now,
            "last_at": now,
            "resolved_at": None,
            "seen_at": now,
            "returned_at": None,
            "return_count": 0,
            "counted": 0,
        }
        for (integration_id, digest), tally in sorted(tallies.items())
    ]
    # Opened by this batch: it has been open since its latest failure.
    ids, opened = _COUNTERS.add_noting(rows, "first_at = last_at")
    if opened:
        stores = {key[0]: tally.latest.store_id for key, tally in tallies.items()}
        hooks.groups_opened([(stores[key[0]], key[0], pk) for key, pk in ids.items() if pk in opened], now)
    return {(integration_id, digest): pk for (integration_id, _, digest), pk in ids.items()}


def close_empty_groups(group_ids: Collection[int | None], now: datetime, by: str = "auto") -> list[int]:
    """Resolve the groups that have no failing delivery left, and call `hooks.groups_resolved`; returns their ids.

    Inside a transaction, after the deliveries were updated: whoever puts a failure into a group holds its lock, so
    a group that looks empty here is empty. `by` is a user's name, or `auto`.
    """
    wanted = {group_id for group_id in group_ids if group_id is not None}
    if not wanted:
        return []
    lock_groups(wanted)
    members = Delivery.objects.filter(failure_group_id=OuterRef("pk"))
    empty = FailureGroup.objects.filter(~Exists(members), id__in=wanted, status=FailureGroup.Status.OPEN)
    closed = sorted(empty.values_list("id", flat=True))
    if closed:
        FailureGroup.objects.filter(id__in=closed).update(status=FailureGroup.Status.RESOLVED, resolved_at=now)
        hooks.groups_resolved(closed, by, now)
    return closed


def resolve_group(*, group: FailureGroup, actor: Actor, now: datetime | None = None) -> bool:
    """Mark as resolved by staff, whatever its deliveries do; the next failure reopens it. Ends a snooze.

    Returns False, without changes, if it was resolved already.
    """
    now = now or timezone.now()
    with transaction.atomic():
        changed = FailureGroup.objects.filter(id=group.id, status=FailureGroup.Status.OPEN).update(
            status=FailureGroup.Status.RESOLVED, resolved_at=now, snoozed_until=None, snoozed_to_count=None
        )
        if changed:
            hooks.groups_resolved([group.id], actor.name, now)
            _audit(group, actor, "resolve", FailureGroup.Status.OPEN, FailureGroup.Status.RESOLVED)
    group.refresh_from_db()
    return bool(changed)


def reopen_group(*, group: FailureGroup, actor: Actor, now: datetime | None = None) -> bool:
    """Reopen, with its notification. Returns False, without changes, if it is open already."""
    now = now or timezone.now()
    with transaction.atomic():
        # A case that was merged into another only refers to it.
        changed = (
            FailureGroup.objects.cases()
            .filter(id=group.id, status=FailureGroup.Status.RESOLVED)
            .update(status=FailureGroup.Status.OPEN, resolved_at=None, first_at=now, returned_at=None)
        )
        if changed:
            hooks.groups_reopened([group.id], now)
            _audit(group, actor, "reopen", FailureGroup.Status.RESOLVED, FailureGroup.Status.OPEN)
    group.refresh_from_db()
    return bool(changed)


def _audit(group: FailureGroup, actor: Actor, action: str, before: str, after: str) -> None:
    record_change(
        actor=actor,
        action=action,
        target=group,
        store=group.store_id,
        name=group.headline,
        before={"status": str(before)},
        after={"status": str(after)},
    )
