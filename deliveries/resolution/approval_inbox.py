"""The edited payloads that await approval, gathered into batches: what one person sent for one reason in one case."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any, Literal

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from deliveries.access import visible_to
from deliveries.models import FailureGroup, Revision
from deliveries.resolution.approval import approve_revision, reject_revision
from deliveries.resolution.rules import ResolutionError
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.json_documents import describe_patch
from integrations.models import Store

#: Edits that the inbox looks at, oldest first; the others follow when these are decided.
LOOKED_AT = 2_000
#: Edits decided by one click: each is a transaction of its own, and nobody wants to wait for longer.
DECIDED_AT_ONCE = 200
SAMPLES = 3
LINES = 8

Decision = Literal["approve", "reject"]


@dataclass(slots=True)
class Sample:
    """One edit of a batch, with its changes as people read them."""

    revision: Revision
    lines: list[str]


@dataclass(slots=True)
class Batch:
    """Edits that wait together, oldest first. `latest` is when the last of them was made."""

    key: str
    store: Store
    author: str
    reason: str
    case: FailureGroup | None
    integration: str
    ids: list[uuid.UUID] = field(default_factory=list)
    deliveries: list[uuid.UUID] = field(default_factory=list)
    since: datetime | None = None
    latest: datetime | None = None
    is_own: bool = False
    samples: list[Sample] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def count_now(self) -> int:
        """How many one click decides."""
        return min(self.count, DECIDED_AT_ONCE)


@dataclass(slots=True)
class Report:
    """`skipped` has why, for each that was not decided."""

    done: int = 0
    skipped: list[str] = field(default_factory=list)

    def note(self, decide: Callable[[], object]) -> bool:
        """Decide one of many, and whether it was: one that cannot be decided leaves the others alone."""
        try:
            decide()
        except ResolutionError as error:
            self.skipped.append(error.message)
            return False
        self.done += 1
        return True


def _waiting() -> Any:
    return Revision.objects.filter(is_awaiting_approval=True)


def batches_for(user: User) -> list[Batch]:
    """The batches in the stores that this person sees, the longest waiting first; own ones last."""
    found: dict[str, Batch] = {}
    rows = visible_to(_waiting(), user, path="delivery__store").order_by("created_at", "id")
    rows = rows.defer("data", "patch").select_related(
        "delivery__store", "delivery__integration", "delivery__failure_group"
    )
    own = set(visible_to(_waiting(), user, path="delivery__store").filter(people=user).values_list("pk", flat=True))
    for revision in rows[:LOOKED_AT]:
        batch = found.setdefault(key := _key_of(revision), _batch_of(key, revision))
        batch.ids.append(revision.pk)
        batch.deliveries.append(revision.delivery_id)
        batch.latest = revision.created_at
        batch.is_own |= revision.author_id == user.pk or revision.pk in own
    _add_samples(list(found.values()))
    return sorted(found.values(), key=lambda batch: batch.is_own)


def _key_of(revision: Revision) -> str:
    delivery = revision.delivery
    parts = (
        delivery.store_id, delivery.integration_id, delivery.failure_group_id, revision.author_id,
        revision.author_name, revision.reason,
    )  # fmt: skip
    return sha256(repr(parts).encode()).hexdigest()[:24]


def _batch_of(key: str, revision: Revision) -> Batch:
    delivery = revision.delivery
    return Batch(
        key, delivery.store, revision.author_name, revision.reason, delivery.failure_group,
        delivery.integration.name, since=revision.created_at,
    )  # fmt: skip


def _add_samples(batches: Sequence[Batch]) -> None:
    wanted = [pk for batch in batches for pk in batch.ids[:SAMPLES]]
    rows = samples_of(wanted)
    for batch in batches:
        batch.samples = [rows[pk] for pk in batch.ids[:SAMPLES] if pk in rows]


def samples_of(ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Sample]:
    rows = Revision.objects.filter(pk__in=ids, is_awaiting_approval=True).defer("data")
    rows = rows.select_related("delivery__event", "delivery__store").defer("delivery__event__data", "data")
    return {row.pk: Sample(row, describe_patch(row.patch)[:LINES]) for row in rows}


def decide(
    *,
    ids: Sequence[uuid.UUID],
    decision: Decision,
    user: User,
    reason: str = "",
    now: datetime | None = None,
) -> Report:
    """Approve and send, or reject, up to `DECIDED_AT_ONCE` of these edits, each on its own: one that cannot be decided
    (it is the person's own, or its delivery has moved on) leaves the others alone. One audit entry for all, and the
    usual one for each.
    """
    now = now or timezone.now()
    actor = Actor.of_user(user)
    report = Report()
    rows = visible_to(Revision.objects.filter(pk__in=list(ids)[:DECIDED_AT_ONCE]), user, path="delivery__store")
    stores: dict[uuid.UUID, Store] = {}
    for revision in rows.select_related("delivery__store").order_by("created_at", "id"):
        if decision == "approve":
            is_done = report.note(partial(approve_revision, revision=revision, actor=actor, now=now))
        else:
            is_done = report.note(partial(reject_revision, revision=revision, actor=actor, reason=reason, now=now))
        if is_done:
            stores[revision.delivery.store_id] = revision.delivery.store
    for store in stores.values():
        with transaction.atomic():
            record_change(
                actor=actor, action=f"{decision}_batch", target=store, store=store,
                after={"done": report.done, "skipped": len(report.skipped)}, reason=reason,
            )  # fmt: skip
    return report
