"""Merge and split cases by rules, which also apply to later failures (`routing`).

Existing deliveries are moved in batches: some at once, the rest by a task each minute. Deliveries that are being sent
are skipped; their results follow the rule.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from hashlib import sha256
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.failures.cases import CaseError, audit_case, locked_case
from deliveries.failures.conditions import ERROR, meets
from deliveries.failures.groups import close_empty_groups
from deliveries.failures.trend import HOURS
from deliveries.models import CaseRule, Delivery, FailureGroup, FailureHour, Revision
from deliveries.storage.locks import lock_groups
from integrations.foundation.audit import Actor
from integrations.foundation.texts import shortened

#: Deliveries moved per transaction, and transactions per rule in one call of `settle_rules`.
BATCH = 500
BATCHES = 20
TEXT_LIMIT = 300


def merge_cases(*, source: FailureGroup, target: FailureGroup, actor: Actor, now: datetime | None = None) -> CaseRule:
    """Merge `source` into `target`: its failures so far and all later ones belong to `target`. Raises CaseError.

    Its comments and history are shown there too. `target` keeps its assignee, snooze and ticket, and takes over those
    that it lacks.
    """
    now = now or timezone.now()
    if source.pk == target.pk:
        raise CaseError(_("This is the case itself. Choose another one."), "into")
    with transaction.atomic():
        lock_groups([source.pk, target.pk])
        source, target = locked_case(source), locked_case(target)
        if source.integration_id != target.integration_id:
            raise CaseError(_("Only cases of one integration can be merged: each is repaired on its own."), "into")
        # Otherwise failures that were split off would be routed in a circle.
        CaseRule.objects.filter(source=target, target=source).delete()
        rule = CaseRule.objects.create(source=source, target=target, author_name=actor.name[:200], created_at=now)
        _take_over(source, target)
        audit_case(source, actor, "merge", None, {"into": target.public_id})
        audit_case(target, actor, "merge", None, {"from": source.public_id, "title": source.headline})
        _move(rule, now)
        _fold(rule, now)
        hooks.groups_resolved([source.pk], actor.name, now)
    return rule


def _take_over(source: FailureGroup, target: FailureGroup) -> None:
    target.seen_at = min(source.first_seen, target.first_seen)
    target.assignee = target.assignee or source.assignee
    target.ticket_url = target.ticket_url or source.ticket_url
    target.save(update_fields=["seen_at", "assignee", "ticket_url"])


def _fold(rule: CaseRule, now: datetime) -> None:
    """Add a merged case's counts to the target's. Call with both locked."""
    source, target = FailureGroup.objects.get(pk=rule.source_id), FailureGroup.objects.get(pk=rule.target_id)
    target.occurrences += source.occurrences
    if target.counted is not None:
        # A source without hourly counts has none to add: treat all of its occurrences as counted.
        target.counted += source.occurrences if source.counted is None else source.counted
    target.last_at = max(source.last_at, target.last_at)
    is_opened = source.status == FailureGroup.Status.OPEN and target.status != FailureGroup.Status.OPEN
    if is_opened:
        target.status, target.resolved_at, target.first_at = FailureGroup.Status.OPEN, None, source.first_at
    elif source.status == FailureGroup.Status.OPEN:
        target.first_at = min(source.first_at, target.first_at)
    target.save(update_fields=["occurrences", "counted", "last_at", "status", "resolved_at", "first_at"])
    hours = list(FailureHour.objects.filter(case=source).order_by("start").values("start", "failures"))
    if hours:
        HOURS.add([{"case_id": target.pk, **hour} for hour in hours])
        FailureHour.objects.filter(case=source).delete()
    FailureGroup.objects.filter(pk=source.pk).update(
        occurrences=0, counted=0, status=FailureGroup.Status.RESOLVED, resolved_at=now, assignee=None, ticket_url="",
        snoozed_until=None, snoozed_to_count=None,
    )  # fmt: skip
    if is_opened:
        hooks.groups_reopened([target.pk], now)


def split_case(
    *, case: FailureGroup, field: str, operator: str, value: str, actor: Actor, now: datetime | None = None
) -> CaseRule:
    """Split failures that meet the condition into a case of their own, existing and later ones. Raises CaseError.

    `field` is `error` (the message) or a path inside the payload; `operator` is one of `CaseRule.Operator`.
    """
    now = now or timezone.now()
    field, value = field.strip(), value.strip()
    _check_condition(field, operator, value)
    with transaction.atomic():
        found = locked_case(case)
        rule = CaseRule(
            source=found, field=field, operator=operator, value=value, author_name=actor.name[:200], created_at=now
        )
        rule.target = _split_off(found, rule)
        lock_groups([rule.target.pk])
        rule.save()
        audit_case(found, actor, "split", None, {"condition": rule.kept_words, "into": rule.target.public_id})
        _move(rule, now)
        rule.target.refresh_from_db()
    return rule


def _check_condition(field: str, operator: str, value: str) -> None:
    if operator not in CaseRule.Operator.values:
        raise CaseError(
            _("The condition must be one of %(values)s.") % {"values": ", ".join(CaseRule.Operator.values)}, "operator"
        )
    if not field or len(field) > TEXT_LIMIT or "\0" in field:
        raise CaseError(_("Name a field of the payload, such as shipping_address.phone, or error."), "field")
    if operator == CaseRule.Operator.MISSING:
        if field == ERROR:
            raise CaseError(_("An error is never missing. Name a field of the payload."), "field")
        if value:
            raise CaseError(_("“Is missing or empty” takes no value."), "value")
    elif not value or len(value) > TEXT_LIMIT or "\0" in value:
        raise CaseError(
            _("Give the value to compare with, of %(limit)s characters at most.") % {"limit": TEXT_LIMIT}, "value"
        )


def _split_off(case: FailureGroup, rule: CaseRule) -> FailureGroup:
    """Return the group for failures that meet the condition. It is resolved until there is one."""
    digest = sha256(f"split\n{case.pk}\n{rule.field}\n{rule.operator}\n{rule.value.casefold()}".encode()).hexdigest()
    if (known := CaseRule.objects.filter(source=case, target__fingerprint=digest).first()) is not None:
        raise CaseError(
            _("This was split off already: case %(case)s.") % {"case": known.target_id},
            "value",
            is_conflict=True,
        )
    title = shortened(f"{rule.kept_words}: {case.headline}", TEXT_LIMIT)
    try:
        with transaction.atomic():
            # Reuse the group of an earlier rule that was removed.
            made, _is_new = FailureGroup.objects.get_or_create(
                integration_id=case.integration_id, kind=case.kind, fingerprint=digest,
                defaults={
                    "store_id": case.store_id, "message": case.message, "title": title,
                    "status": FailureGroup.Status.RESOLVED,
                    "first_at": case.first_at, "last_at": case.last_at, "resolved_at": case.last_at,
                    "seen_at": case.seen_at, "counted": 0, "assignee_id": case.assignee_id,
                },
            )  # fmt: skip
    except IntegrityError:  # pragma: no cover  # a concurrent split with the same condition
        raise CaseError(_("Somebody else is splitting this case. Reload and try again."), is_conflict=True) from None
    return made


def remove_rule(*, rule: CaseRule, actor: Actor) -> None:
    """Remove the rule: later failures stay in their own case again; deliveries that were moved stay moved."""
    with transaction.atomic():
        lock_groups([rule.source_id, rule.target_id])
        found = CaseRule.objects.filter(pk=rule.pk).select_related("source__integration", "target").first()
        if found is None:
            return
        found.delete()
        what = {"into": found.target.public_id, "condition": found.kept_words if found.field else "all"}
        audit_case(found.source, actor, "remove_rule", what, None)


def settle_rules(now: datetime) -> int:
    """Move deliveries that are still where they were before a rule was made; return how many."""
    # A failure that was recorded while its case was being merged has reopened that case.
    CaseRule.objects.filter(field="", is_settled=True, source__status=FailureGroup.Status.OPEN).update(is_settled=False)
    count = 0
    for rule in list(CaseRule.objects.filter(is_settled=False).order_by("id")[:50]):
        for _batch in range(BATCHES):
            with transaction.atomic():
                lock_groups([rule.source_id, rule.target_id])
                found = CaseRule.objects.filter(pk=rule.pk, is_settled=False).first()
                moved = _catch_up(found, now) if found is not None else 0
            count += moved
            if moved < BATCH:
                break
    return count


def _catch_up(rule: CaseRule, now: datetime) -> int:
    late = rule.is_merge and FailureGroup.objects.filter(pk=rule.source_id, status=FailureGroup.Status.OPEN).exists()
    moved = _move(rule, now)
    if late:
        _fold(rule, now)
        hooks.groups_resolved([rule.source_id], "auto", now)
    return moved


def _move(rule: CaseRule, now: datetime) -> int:
    """Move a batch, with both groups locked; return how many deliveries were examined."""
    members = Delivery.objects.filter(failure_group_id=rule.source_id)
    # Skip deliveries that are being sent: they belong to the engine that holds the lease.
    free = members.exclude(status=Delivery.Status.SENDING).order_by("id")
    if rule.cursor is not None:
        free = free.filter(id__gt=rule.cursor)
    rows = list(free.lock_free().values_list("id", flat=True)[:BATCH])
    ids = rows if rule.is_merge else _meeting(rule, rows)
    if ids:
        Delivery.objects.filter(id__in=ids).update(failure_group_id=rule.target_id)
        _note_moved(rule, ids, now)
    # Rows that others had locked are found again by the next run, as long as the merged case has members.
    is_through = len(rows) < BATCH
    rule.cursor = rows[-1] if rows and not rule.is_merge else None
    rule.is_settled = is_through and not (rule.is_merge and members.exists())
    rule.save(update_fields=["cursor", "is_settled"])
    return len(rows)


def _note_moved(rule: CaseRule, ids: Collection[uuid.UUID], now: datetime) -> None:
    """Update the counts and samples of both groups after deliveries have moved."""
    target = FailureGroup.objects.get(pk=rule.target_id)
    source = FailureGroup.objects.get(pk=rule.source_id)
    if target.sample_id is None:
        target.sample_id = max(ids)
    if source.sample_id in ids:
        others = Delivery.objects.filter(failure_group=source).order_by("-id")
        source.sample_id = others.values_list("id", flat=True).first()
    is_opened = not rule.is_merge and target.status != FailureGroup.Status.OPEN
    if not rule.is_merge:
        # How often each delivery failed is not known by case: count one failure each.
        taken = min(len(ids), source.occurrences)
        source.occurrences -= taken
        source.counted = None if source.counted is None else max(0, source.counted - taken)
        target.occurrences += taken
        target.counted = None if target.counted is None else target.counted + taken
    if is_opened:
        target.status, target.resolved_at, target.first_at, target.last_at = (
            FailureGroup.Status.OPEN,
            None,
            source.first_at,
            now,
        )
    fields = ["sample", "occurrences", "counted", "status", "resolved_at", "first_at", "last_at"]
    target.save(update_fields=fields)
    source.save(update_fields=["sample", "occurrences", "counted"])
    if is_opened:
        hooks.groups_reopened([target.pk], now)
    if not rule.is_merge:
        close_empty_groups([source.pk], now)


def _meeting(rule: CaseRule, ids: Collection[uuid.UUID]) -> list[uuid.UUID]:
    rows = list(Delivery.objects.filter(id__in=ids).select_related("event"))
    edited = {row.id: row.revision for row in rows if row.revision}
    payloads: dict[uuid.UUID, Any] = {
        revision.delivery_id: revision.data
        for revision in Revision.objects.filter(delivery__in=list(edited))
        if revision.number == edited[revision.delivery_id]
    }
    return [
        row.id
        for row in rows
        if meets(
            rule.field, rule.operator, rule.value, message=row.last_error,
            payload=payloads.get(row.id, row.event.data),
        )
    ]  # fmt: skip


def rules_of(case: FailureGroup) -> list[CaseRule]:
    """Return the rules by which failures leave this case or come to it, oldest first."""
    found = CaseRule.objects.filter(Q(source=case) | Q(target=case))
    return list(found.select_related("source", "target").order_by("id"))
