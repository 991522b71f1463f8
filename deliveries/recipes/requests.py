"""Fixes that programs and commands ask for in one go: the scope in their words, a preview, and sending."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.failures.cases import case_of
from deliveries.filters import FilterError
from deliveries.models import BulkFix, Delivery, FailureGroup, Recipe
from deliveries.recipes.drafts import field_fix, make_draft, preview, save_draft
from deliveries.recipes.keeping import check_limits, keep_recipe, refuse_second, topics_of
from deliveries.recipes.members import IDS, clean_scope, members_of
from deliveries.recipes.plan import Plan, Row
from deliveries.recipes.sending import send_fix
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id
from integrations.models import Store

#: What a scope may say: like one delivery, these deliveries, or all that match filters.
LIKE, DELIVERIES, FILTER = "like", "deliveries", "filter"
FILTERS = ("integration", "subscription", "topic", "since", "until", "q")


def scope_of(given: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """One of `like` (a delivery: all with the same failure), `deliveries` (ids) and `filter`. Raises FilterError."""
    named = [name for name in (LIKE, DELIVERIES, FILTER) if given.get(name) is not None]
    if len(named) != 1:
        raise FilterError(named[1] if named else LIKE, f"Give one of {LIKE}, {DELIVERIES} and {FILTER}.")
    name, value = named[0], given[named[0]]
    if name == LIKE:
        return {"group": str(_group_like(value, store).pk)}
    if name == DELIVERIES:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise FilterError(DELIVERIES, "deliveries is an array of ids (dlv_…).")
        ids = [parse_public_id("dlv", one) if isinstance(one, str) else None for one in value]
        if None in ids:
            raise FilterError(DELIVERIES, "One of the ids is not the id of a delivery (dlv_…).")
        return clean_scope({IDS: [str(one) for one in ids]})
    if not isinstance(value, Mapping) or not value:
        raise FilterError(FILTER, "filter is an object with at least one filter.")
    if unknown := sorted(set(value) - set(FILTERS)):
        raise FilterError(f"filter.{unknown[0]}", f"Unknown filter {unknown[0]!r}. Available: {', '.join(FILTERS)}.")
    return clean_scope({key: text for key, text in value.items() if isinstance(text, str)})


def _group_like(value: Any, store: Store) -> FailureGroup:
    pk = parse_public_id("dlv", value) if isinstance(value, str) else None
    delivery = Delivery.objects.filter(pk=pk, store=store).select_related("failure_group").first() if pk else None
    if delivery is None:
        raise FilterError(LIKE, f"There is no delivery {str(value)[:60]!r} in this store.")
    if delivery.failure_group is None:
        raise FilterError(LIKE, "This delivery does not fail, so there are none like it.")
    return delivery.failure_group


def request_preview(
    *, scope: Mapping[str, Any], store: Store, field: str, rules: Sequence[Mapping[str, Any]], limit: int
) -> Plan:
    """Raises RuleError, PlaceError, ResolutionError, FilterError."""
    done = field_fix(scope=scope, store=store, place=field, rules=rules)
    return preview(scope=scope, store=store, fix=done, is_wanted=lambda number, _: number < limit)


def request_fix(
    *,
    scope: Mapping[str, Any],
    store: Store,
    field: str,
    rules: Sequence[Mapping[str, Any]],
    actor: Actor,
    values: Mapping[str, Any] | None = None,
    updates_records: bool = False,
    includes_unlike: bool = False,
    reason: str = "",
    now: datetime | None = None,
    is_proposal: bool = False,
) -> BulkFix:
    """Send what fits, all or nothing being kept: `values` are by object's or delivery's id and win over the rules.
    `is_proposal`: as `send_fix` has it.

    Raises RuleError, PlaceError, ResolutionError, FilterError.
    """
    now = now or timezone.now()
    # Checked before anything is written.
    done = field_fix(scope=scope, store=store, place=field, rules=rules)
    typed = _typed(values or {}, preview(scope=scope, store=store, fix=done, is_wanted=lambda *_: bool(values)).rows)
    fix = make_draft(scope=scope, store=store, actor=actor, place=field, now=now)
    try:
        save_draft(
            fix=fix,
            rules=[step.as_json() for step in done.steps],
            updates_records=updates_records,
            includes_unlike=includes_unlike,
            reason=reason,
            typed=typed,
        )
        return send_fix(fix=fix, actor=actor, now=now, is_proposal=is_proposal)
    except Exception:
        # Nobody would find the draft of a program.
        BulkFix.objects.filter(pk=fix.pk, status=BulkFix.Status.DRAFT).delete()
        raise


def _typed(values: Mapping[str, Any], rows: Sequence[Row]) -> dict[uuid.UUID, dict[str, Any] | None]:
    by_key: dict[str, list[uuid.UUID]] = {}
    for row in rows:
        pk = row.member.delivery_id
        for key in (row.member.object_id, str(pk), f"dlv_{pk.hex}"):
            by_key.setdefault(key, []).append(pk)
    if unknown := [key for key in values if not key or key not in by_key]:
        raise FilterError(f"values.{unknown[0]}", f"No failing delivery of this scope has the id {unknown[0][:60]!r}.")
    return {pk: {"value": value} for key, value in values.items() for pk in by_key[key]}


def check_may_keep(*, scope: Mapping[str, Any], store: Store, rules: Sequence[Mapping[str, Any]]) -> None:
    """Before a fix is sent: whether its rules can be kept for later failures of its group.

    Raises ResolutionError. Somebody may still be quicker, so `keep_after` can refuse too.
    """
    group = case_of(scope.get("group"))
    if group is None:
        raise ResolutionError("invalid", _("Only rules for deliveries with one failure can be kept."), "keep")
    if not rules:
        raise ResolutionError("invalid", _("Values typed by hand cannot be kept for other deliveries: add rules."))
    for topic in members_of(scope, store).order_by().values_list("topic", flat=True).distinct():
        refuse_second(group, topic)


def keep_after(
    *, fix: BulkFix, actor: Actor, name: str = "", days: int, daily_cap: int, approve_first: int
) -> list[Recipe]:
    """Keep the rules of a fix for later failures of its group: one recipe for each topic. Raises ResolutionError."""
    check_limits(days=days, daily_cap=daily_cap, approve_first=approve_first)
    group = case_of(fix.scope.get("group"))
    if group is None:
        raise ResolutionError("invalid", _("Only rules for deliveries with one failure can be kept."), "keep")
    topics = topics_of(list(fix.items.values_list("delivery_id", flat=True)))
    with transaction.atomic():
        return [
            keep_recipe(
                group=group,
                topic=topic,
                place=fix.place,
                rules=fix.rules,
                actor=actor,
                name=name,
                updates_records=fix.updates_records,
                days=days,
                daily_cap=daily_cap,
                approve_first=approve_first,
            )
            for topic in topics
        ]
