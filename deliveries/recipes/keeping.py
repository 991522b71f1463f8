"""Recipes that are kept for later failures of one kind: made, listed, switched off."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.failures.cases import merged_into
from deliveries.models import Delivery, FailureGroup, Recipe
from deliveries.recipes.rules import expression_of, parse_rules
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor, record_change
from integrations.foundation.json_places import Place, parse_place, pointer, spelled
from integrations.foundation.texts import shortened
from integrations.foundation.written import grouped
from integrations.models import Integration

DAYS: Final = 30
MOST_DAYS: Final = 365
CAP: Final = 500
MOST_CAP: Final = 10_000
ACTIVE_LIMIT: Final = 100
#: After so many uses the better place is suggested: the sender, or a transform.
USED_OFTEN: Final = 20
#: Owns the recipes of configuration files, which belong to the installation rather than to a person or a token.
CONFIGURATION: Final = Actor(None, "apply")

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def keep_recipe(
    *,
    group: FailureGroup,
    topic: str,
    place: str,
    rules: Sequence[Mapping[str, Any]],
    actor: Actor,
    name: str = "",
    updates_records: bool = True,
    days: int = DAYS,
    daily_cap: int = CAP,
    approve_first: int = 0,
    now: datetime | None = None,
) -> Recipe:
    """Apply the rules to later failures of the group and topic as they appear. Raises RuleError, PlaceError,
    ResolutionError. At most one active recipe per group, topic and field."""
    now = now or timezone.now()
    group = merged_into(group) or group
    fields = _checked(place, rules, daily_cap, approve_first, days)
    with transaction.atomic():
        # One after the other: two people keep the same at the same time.
        FailureGroup.objects.select_for_update(no_key=True, of=("self",)).get(pk=group.pk)
        refuse_second(group, topic)
        return _keep(
            actor,
            store_id=group.store_id,
            name=(name.strip() or _name(parse_place(place), group))[:200],
            integration_id=group.integration_id,
            kind=group.kind,
            fingerprint=group.fingerprint,
            topic=topic,
            updates_records=updates_records,
            expires_at=now + timedelta(days=days),
            created_at=now,
            **fields,
        )


def keep_recipe_for(
    *,
    integration: Integration,
    kind: str,
    fingerprint: str,
    topic: str,
    name: str,
    place: str,
    rules: Sequence[Mapping[str, Any]],
    actor: Actor,
    expires_at: datetime,
    updates_records: bool = True,
    daily_cap: int = CAP,
    approve_first: int = 0,
    now: datetime | None = None,
) -> Recipe:
    """As `keep_recipe`, for failures that may not have been seen here yet. Raises RuleError, PlaceError and
    ResolutionError, also for a time that is past or too far away."""
    now = now or timezone.now()
    if not now < expires_at <= now + timedelta(days=MOST_DAYS):
        raise ResolutionError(
            "invalid", _("A recipe is kept for 1 to %(limit)s days.") % {"limit": MOST_DAYS}, "expires_at"
        )
    _check_failure(kind, fingerprint, topic)
    fields = _checked(place, rules, daily_cap, approve_first)
    with transaction.atomic():
        # As there may be no group to lock.
        Integration.objects.select_for_update(no_key=True, of=("self",)).only("pk").get(pk=integration.pk)
        refuse_second(_group_for(integration, kind, fingerprint), topic)
        return _keep(
            actor,
            store_id=integration.store_id,
            name=name.strip()[:200],
            integration_id=integration.pk,
            kind=kind,
            fingerprint=fingerprint,
            topic=topic,
            updates_records=updates_records,
            expires_at=expires_at,
            created_at=now,
            **fields,
        )


def _check_failure(kind: str, fingerprint: str, topic: str) -> None:
    if not _FINGERPRINT.fullmatch(fingerprint) or not 0 < len(kind) <= 50 or not 0 < len(topic) <= 255:
        message = "kind, fingerprint (64 hexadecimal digits) and topic say which failures the recipe is for."
        raise ResolutionError("invalid", message, "fingerprint")


def _group_for(integration: Integration, kind: str, fingerprint: str) -> FailureGroup:
    """The group of these failures, or the one that it was merged into; an unsaved one if there is none yet."""
    which = {"integration": integration, "kind": kind, "fingerprint": fingerprint}
    known = FailureGroup.objects.filter(**which).first()
    if known is None:
        return FailureGroup(store_id=integration.store_id, **which)
    return merged_into(known) or known


def _checked(
    place: str, rules: Sequence[Mapping[str, Any]], daily_cap: int, approve_first: int, days: int = DAYS
) -> dict[str, Any]:
    steps, field = parse_rules(rules), parse_place(place)
    if not steps:
        raise ResolutionError("invalid", _("Values typed by hand cannot be kept for other deliveries: add rules."))
    check_limits(days=days, daily_cap=daily_cap, approve_first=approve_first)
    return {
        "place": pointer(field),
        "rules": [step.as_json() for step in steps],
        "daily_cap": daily_cap,
        "approve_first": approve_first,
    }


def _keep(actor: Actor, **fields: Any) -> Recipe:
    recipe = Recipe.objects.create(
        owner=actor.user,
        owner_name=actor.name,
        token_id=actor.token_id,
        is_owned_by_program=actor.user is None,
        **fields,
    )
    _audit(recipe, actor, "create")
    return recipe


def _name(field: Place, group: FailureGroup) -> str:
    headline = shortened(group.headline, 120)
    return headline if str(field[-1]).lower() in headline.lower() else f"{spelled(field)}: {headline}"


def check_limits(*, days: int, daily_cap: int, approve_first: int) -> None:
    """Raises ResolutionError."""
    if not 1 <= days <= MOST_DAYS:
        raise ResolutionError("invalid", _("A recipe is kept for 1 to %(limit)s days.") % {"limit": MOST_DAYS}, "days")
    if not 1 <= daily_cap <= MOST_CAP:
        raise ResolutionError(
            "invalid", _("The cap per day is 1 to %(limit)s.") % {"limit": grouped(MOST_CAP)}, "daily_cap"
        )
    if not 0 <= approve_first <= MOST_CAP:
        raise ResolutionError(
            "invalid",
            _("The first 0 to %(limit)s can wait for approval.") % {"limit": grouped(MOST_CAP)},
            "approve_first",
        )


def switch_off(*, recipe: Recipe, actor: Actor, reason: str = "", now: datetime | None = None) -> bool:
    """It touches nothing any more; what it has sent stays. False, without changes, if it is off already."""
    now = now or timezone.now()
    with transaction.atomic():
        changed = Recipe.objects.filter(pk=recipe.pk, is_active=True).update(
            is_active=False, off_at=now, off_reason=reason.strip(), off_by_name=actor.name
        )
        recipe.refresh_from_db()
        if changed:
            _audit(recipe, actor, "switch_off", reason)
            why = reason.strip() or f"By {actor.name}."
            hooks.recipe_stopped(recipe.store_id, recipe.integration_id, recipe.pk, why, now)
    return bool(changed)


def group_of(recipe: Recipe) -> FailureGroup | None:
    """The failure group that the recipe is for, if it still exists: of cases that were merged, the one that is left."""
    group = FailureGroup.objects.filter(
        integration_id=recipe.integration_id, kind=recipe.kind, fingerprint=recipe.fingerprint
    ).first()
    return (merged_into(group) or group) if group is not None else None


def rival_of(recipe: Recipe) -> Recipe | None:
    """Another active recipe for the same failures, whose own case they are: this one's was merged into that."""
    group = group_of(recipe)
    if group is None or group.fingerprint == recipe.fingerprint:
        return None
    same = Recipe.objects.filter(is_active=True, integration_id=recipe.integration_id, topic=recipe.topic)
    return same.filter(kind=group.kind, fingerprint=group.fingerprint).exclude(pk=recipe.pk).first()


def transform_of(recipe: Recipe) -> str | None:
    """The same as a transform of the subscription (JMESPath); None if its rules cannot be said so."""
    return expression_of(parse_rules(recipe.rules), parse_place(recipe.place))


def refuse_second(group: FailureGroup, topic: str) -> None:
    """Raises ResolutionError if a recipe for these failures is active, or if the store has no room for another."""
    active = Recipe.objects.filter(store_id=group.store_id, is_active=True)
    same = active.filter(integration_id=group.integration_id, topic=topic)
    if (other := next((one for one in same if _is_for(one, group)), None)) is not None:
        raise ResolutionError(
            "conflict", _("“%(name)s” fixes these already. Switch it off first.") % {"name": other.name}
        )
    if active.count() >= ACTIVE_LIMIT:
        raise ResolutionError(
            "too_many",
            _("A store has at most %(limit)s active recipes. Switch one off.") % {"limit": ACTIVE_LIMIT},
        )


def _is_for(recipe: Recipe, group: FailureGroup) -> bool:
    if (recipe.kind, recipe.fingerprint) == (group.kind, group.fingerprint):
        return True
    return group.pk is not None and group_of(recipe) == group


def topics_of(scope_ids: Sequence[Any]) -> list[str]:
    """The topics of these deliveries."""
    return sorted(set(Delivery.objects.filter(id__in=scope_ids).values_list("topic", flat=True)))


def _audit(recipe: Recipe, actor: Actor, action: str, reason: str = "") -> None:
    record_change(
        actor=actor,
        action=action,
        target=recipe,
        store=recipe.store_id,
        after={
            "is_active": recipe.is_active,
            "topic": recipe.topic,
            "field": spelled(parse_place(recipe.place)),
            "rules": recipe.rules,
            "expires_at": recipe.expires_at.isoformat(),
            "daily_cap": recipe.daily_cap,
            "approve_first": recipe.approve_first,
            "uses": recipe.uses,
        },
        reason=reason,
    )
