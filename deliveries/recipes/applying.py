"""Kept recipes at work: later failures get their revision and are sent again, outside of the engine's transactions.

With each heartbeat an engine looks whether an active recipe has something to do; nearly always there is none, which
is one query. If there is, a task worker does it. What became of the deliveries sent so far is looked at first, so
that a recipe whose fix fails is off before it touches the next. A recipe begins with one delivery and then has no more
under way than its successes allow, so that one that is wrong is wrong once.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from deliveries.models import Delivery, Recipe, RecipeUse, Revision
from deliveries.recipes.announcing import announce_switched_off
from deliveries.recipes.keeping import ACTIVE_LIMIT, CONFIGURATION, group_of, rival_of, switch_off
from deliveries.recipes.members import read_members
from deliveries.recipes.plan import FieldFix
from deliveries.recipes.rules import parse_rules
from deliveries.resolution import ResolutionError, edit_delivery
from integrations.foundation.audit import HOOKDESK, Actor
from integrations.foundation.json_places import parse_place, put
from integrations.foundation.languages import gettext_noop
from integrations.security.staff import visible_store_ids
from subscriptions.routing import config_of

logger = logging.getLogger("hookdesk.recipes")

Outcome = RecipeUse.Outcome
OPEN: Final = (Outcome.SENT, Outcome.AWAITING)
#: Deliveries of one pass over one recipe.
BATCH: Final = 100
#: How many may be under way for each that has succeeded, and before any has.
PER_SUCCESS: Final = 4
#: A task runs so long and looks so often; another is queued no sooner than after `QUEUED_FOR`.
RUN_SECONDS: Final = 20.0
PAUSE: Final = 0.3
IDLE_PASSES: Final = 10
QUEUED_FOR: Final = timedelta(seconds=5)
FAILS_AGAIN: Final = "A delivery that it fixed has failed again: {}"

_queued_at: datetime | None = None


def run_recipes(seconds: float = RUN_SECONDS) -> int:
    """Pass after pass while there is something to do, for so long; returns how many deliveries were fixed. A task.

    It waits a little for what it has sent, so that the next ones follow at once, but not for a receiver that is down.
    """
    deadline, count, idle = time.monotonic() + seconds, 0, 0
    while time.monotonic() < deadline and idle < IDLE_PASSES:
        is_busy = has_work()
        count += apply_recipes(timezone.now())
        idle = 0 if is_busy else idle + 1
        if not is_busy and not RecipeUse.objects.filter(outcome=Outcome.SENT, recipe__is_active=True).exists():
            break
        time.sleep(PAUSE)
    return count


def has_work() -> bool:
    """Whether an active recipe has later failures to fix, or can see what became of one. Cheap without recipes."""
    now = timezone.now()
    active = Recipe.objects.filter(is_active=True).order_by("pk")[:ACTIVE_LIMIT]
    return any(
        _settled(one).exists() or (_room(one, now) > 0 and _later_failures(one).exists()) for one in list(active)
    )


def _settled(recipe: Recipe) -> QuerySet[Delivery]:
    """Deliveries under way of which something is known now."""
    sent = Delivery.objects.filter(id__in=recipe.met.filter(outcome__in=OPEN).values("delivery_id"))
    waiting = Q(status=Delivery.Status.FAILED, id__in=recipe.met.filter(outcome=Outcome.AWAITING).values("delivery_id"))
    group = group_of(recipe)
    is_back = Q(status=Delivery.Status.RETRYING, failure_group=group) if group is not None else Q(pk__in=[])
    return sent.filter((~Q(status__in=Delivery.OPEN) & ~waiting) | is_back)


def queue_recipes(now: datetime) -> None:
    """Let a task worker run the recipes if there is anything to do for them; for the engines' heartbeat."""
    global _queued_at
    if _queued_at is not None and timedelta() <= now - _queued_at < QUEUED_FOR:
        return
    if not Recipe.objects.filter(is_active=True).exists() or not has_work():
        return
    _queued_at = now
    from django_q.tasks import async_task

    try:
        async_task("deliveries.recipes.applying.run_recipes")
    except Exception:
        logger.warning("task queue unavailable: recipes wait for the next sweep", exc_info=True)


def apply_recipes(now: datetime) -> int:
    """One pass over all recipes; returns how many deliveries were fixed. May run in several workers at once."""
    count = sum(_pass(recipe, now) for recipe in Recipe.objects.filter(is_active=True).order_by("pk"))
    open_uses = RecipeUse.objects.filter(recipe=OuterRef("pk"), outcome__in=OPEN)
    for recipe in Recipe.objects.filter(Exists(open_uses), is_active=False).order_by("pk"):
        settle_uses(recipe, now)
    return count


def _pass(recipe: Recipe, now: datetime) -> int:
    try:
        settle_uses(recipe, now)
        recipe.refresh_from_db()
        if not recipe.is_active:
            return 0
        if why := _why_over(recipe, now):
            _turn_off(recipe, why, now)
            return 0
        if (room := _room(recipe, now)) <= 0:
            return 0
        ids = list(_later_failures(recipe).values_list("id", flat=True)[:room])
        return sum(_apply(recipe, pk, now) for pk in ids)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("recipe %s failed; continuing with the rest", recipe.pk)
        return 0


def _why_over(recipe: Recipe, now: datetime) -> str:
    """Why it must not be used any more; empty if it may."""
    if recipe.expires_at <= now:
        return gettext_noop("It has expired.")
    if (rival := rival_of(recipe)) is not None:
        return f"Its case was merged into one whose failures “{rival.name}” fixes."
    if recipe.is_owned_by_program:
        if recipe.owner_name == CONFIGURATION.name:
            return ""
        return (
            ""
            if recipe.token is not None and recipe.token.is_active
            else gettext_noop("The token that made it is gone.")
        )
    owner = recipe.owner
    if owner is None or not owner.is_active or not owner.has_perm("deliveries.resolve_delivery"):
        return f"{recipe.owner_name} may not resolve deliveries any more."
    stores = visible_store_ids(owner)
    return (
        "" if stores is None or recipe.store_id in stores else f"{recipe.owner_name} may not see this store any more."
    )


def _turn_off(recipe: Recipe, why: str, now: datetime) -> None:
    if switch_off(recipe=recipe, actor=HOOKDESK, reason=why, now=now):
        with transaction.atomic():
            announce_switched_off(recipe, why, now)


def _later_failures(recipe: Recipe) -> QuerySet[Delivery]:
    """The failures of its kind since it is kept that no recipe has met yet, oldest first."""
    group = group_of(recipe)
    if group is None:
        return Delivery.objects.none()
    met = RecipeUse.objects.filter(delivery_id=OuterRef("pk"))
    # What had failed before belongs to whoever kept the recipe.
    later = Q(created_at__gte=recipe.created_at) | Q(finished_at__gte=recipe.created_at)
    rows = Delivery.objects.wanted().failing().filter(~Exists(met), later, failure_group=group, topic=recipe.topic)
    return rows.exclude(trigger=Delivery.Trigger.TEST).order_by("id")


def _room(recipe: Recipe, now: datetime) -> int:
    """How many more may be sent now: what the cap and the successes so far allow."""
    today = recipe.uses_of_day if recipe.day == now.date() else 0
    if recipe.uses < recipe.approve_first:
        return min(BATCH, recipe.daily_cap - today, recipe.approve_first - recipe.uses)
    under_way = recipe.met.filter(outcome__in=OPEN).count()
    return min(BATCH, recipe.daily_cap - today, 1 + PER_SUCCESS * recipe.succeeded - under_way)


def _apply(recipe: Recipe, delivery_id: uuid.UUID, now: datetime) -> int:
    """Fix one delivery, or note why not. Another worker that does the same finds the recipe locked, and then done."""
    member = next(iter(read_members(Delivery.objects.filter(pk=delivery_id))), None)
    if member is None:
        return 0
    place = parse_place(recipe.place)
    row = FieldFix(place, parse_rules(recipe.rules), config_of(recipe.store_id)).row(member)
    with transaction.atomic():
        recipe = Recipe.objects.select_for_update(of=("self",)).get(pk=recipe.pk)
        if not recipe.is_active or _room(recipe, now) <= 0:
            return 0
        use = RecipeUse(recipe=recipe, delivery_id=delivery_id, outcome=Outcome.LEFT_ALONE, created_at=now)
        try:
            with transaction.atomic():
                use.save(force_insert=True)
        except IntegrityError:
            return 0  # a recipe has met it already
        why = gettext_noop("The rules change nothing in it.") if row.verdict == "unchanged" else row.why
        if row.verdict == "fits":
            why = _edit(recipe, use, put(member.payload, place, row.after), now, member.seen_revision)
        if why:
            use.note, use.settled_at = why, now
            use.save(update_fields=["note", "settled_at"])
            Recipe.objects.filter(pk=recipe.pk).update(left_alone=F("left_alone") + 1)
        return int(not why)


def _edit(recipe: Recipe, use: RecipeUse, payload: dict[str, object], now: datetime, seen: int) -> str:
    """Why it was not possible; empty if it was."""
    actor = Actor(recipe.owner, f"recipe “{recipe.name}”"[:200], recipe.token_id)
    delivery = Delivery.objects.get(pk=use.delivery_id)
    try:
        with transaction.atomic():
            revision = edit_delivery(
                delivery=delivery,
                payload=payload,
                actor=actor,
                reason=f"Fixed by recipe {recipe.public_id} of {recipe.owner_name}",
                update_record=recipe.updates_records,
                now=now,
                expected_revision=seen,
                needs_approval=recipe.uses < recipe.approve_first,
            )
    except ResolutionError as error:
        return error.message
    use.revision = revision.number
    use.outcome = Outcome.AWAITING if revision.is_awaiting_approval else Outcome.SENT
    use.save(update_fields=["revision", "outcome"])
    is_today = recipe.day == now.date()
    recipe.uses += 1
    recipe.uses_of_day = recipe.uses_of_day + 1 if is_today else 1
    recipe.day, recipe.last_used_at = now.date(), now
    recipe.save(update_fields=["uses", "uses_of_day", "day", "last_used_at"])
    return ""


def settle_uses(recipe: Recipe, now: datetime) -> None:
    """Look at what became of the deliveries under way; a failure that comes back switches the recipe off."""
    uses = list(recipe.met.filter(outcome__in=OPEN).order_by("pk")[:BATCH])
    if not uses:
        return
    ids = [use.delivery_id for use in uses]
    deliveries = Delivery.objects.in_bulk(ids)
    waiting = set(
        Revision.objects.filter(delivery__in=ids, is_awaiting_approval=True).values_list("delivery_id", flat=True)
    )
    group = group_of(recipe)
    failed = []
    for use in uses:
        delivery = deliveries.get(use.delivery_id)
        outcome = _outcome(use, delivery, use.delivery_id in waiting, group.pk if group is not None else None)
        if outcome is None:
            continue
        with transaction.atomic():
            done = RecipeUse.objects.filter(pk=use.pk, outcome=use.outcome).update(
                outcome=outcome, settled_at=None if outcome == Outcome.SENT else now
            )
            if done and outcome in (Outcome.SUCCEEDED, Outcome.FAILED):
                column = "succeeded" if outcome == Outcome.SUCCEEDED else "failed_again"
                Recipe.objects.filter(pk=recipe.pk).update(**{column: F(column) + 1})
        if outcome == Outcome.FAILED and delivery is not None:
            failed.append(delivery)
    if failed:
        _turn_off(recipe, FAILS_AGAIN.format(failed[0].last_error[:300]), now)


def _outcome(use: RecipeUse, delivery: Delivery | None, is_waiting: bool, group_id: int | None) -> str | None:
    """What became of it; None while that is open. A receiver that is down for now says nothing of the fix."""
    if delivery is None or delivery.status in (Delivery.Status.DISCARDED, Delivery.Status.SUPERSEDED):
        return Outcome.OVERTAKEN
    if delivery.status == Delivery.Status.SUCCEEDED:
        return Outcome.SUCCEEDED if delivery.revision == use.revision else Outcome.OVERTAKEN
    if is_waiting:
        return None
    if delivery.revision != use.revision:
        return Outcome.OVERTAKEN  # rejected, or edited again by somebody
    if use.outcome == Outcome.AWAITING:
        return Outcome.SENT
    is_back = (
        delivery.status == Delivery.Status.RETRYING and group_id is not None and delivery.failure_group_id == group_id
    )
    return Outcome.FAILED if is_back or delivery.status == Delivery.Status.FAILED else None
