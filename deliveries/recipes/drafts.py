"""A bulk fix while it is being made: its field, rules and typed values, and the preview of what they make."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.failures.diagnosis import diagnose
from deliveries.models import BulkFix, BulkFixItem, Delivery, RecipeUse
from deliveries.recipes.accepted import accepted_payloads, accepted_shape, fields_unlike
from deliveries.recipes.members import MEMBERS_LIMIT, Member, Scope, clean_scope, members_of, read_members
from deliveries.recipes.plan import PREVIEW_SECONDS, FieldFix, Plan, Row, make_plan
from deliveries.recipes.rules import parse_rules
from deliveries.recipes.shape import Shape
from deliveries.resolution import ResolutionError
from integrations.foundation.audit import Actor
from integrations.foundation.json_paths import pointer_of
from integrations.foundation.json_places import Place, fields_of, look_up, parse_place, pointer, spelled
from integrations.foundation.written import grouped
from integrations.models import Store
from integrations.services import people_behind
from subscriptions.routing import config_of

#: Members whose failure is looked at to find the field, and whose payload to list the fields.
SAMPLED: Final = 20
#: Drafts that nobody has touched for so long are deleted.
DRAFT_KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be fixed; `is_suspect` if failures name it."""

    path: str
    example: Any
    is_suspect: bool = False


def begin_fix(*, scope: Scope, store: Store, actor: Actor, place: str = "", now: datetime | None = None) -> BulkFix:
    """A draft for the failing deliveries of `scope`: the author's own if there is one, with the field that is likely
    at fault. Raises FilterError, or ResolutionError if nothing fails there."""
    now = now or timezone.now()
    cleaned = clean_scope(scope)
    rows = members_of(cleaned, store)
    if not rows.exists():
        raise ResolutionError("finished", _("No delivery of this selection fails now, so there is nothing to fix."))
    if (kept := own_draft(scope=cleaned, store=store, actor=actor, now=now)) is not None:
        return kept
    if not place:
        sample = [one.path for one in fields(cleaned, store)]
        place = sample[0] if sample else ""
    return make_draft(scope=cleaned, store=store, actor=actor, place=place, now=now)


def own_draft(*, scope: Scope, store: Store, actor: Actor, now: datetime | None = None) -> BulkFix | None:
    """The draft that this person has begun for the same scope. Raises FilterError."""
    if actor.user is None:
        return None
    mine = BulkFix.objects.filter(store=store, status=BulkFix.Status.DRAFT, author=actor.user)
    return mine.filter(scope=clean_scope(scope), created_at__gt=(now or timezone.now()) - DRAFT_KEPT).first()


def count_members(scope: Scope, store: Store) -> int:
    """How many fail now, counted to one more than a fix may have. Raises FilterError, ResolutionError if none."""
    number = members_of(clean_scope(scope), store)[: MEMBERS_LIMIT + 1].count()
    if not number:
        raise ResolutionError("finished", _("No delivery of this selection fails now, so there is nothing to fix."))
    return number


def make_draft(*, scope: Scope, store: Store, actor: Actor, place: str, now: datetime) -> BulkFix:
    people, is_issuer_known = people_behind(actor)
    with transaction.atomic():
        fix = BulkFix.objects.create(
            store=store,
            scope=dict(scope),
            place=pointer(parse_place(place)) if place else "",
            author=actor.user,
            author_name=actor.name,
            token_id=actor.token_id,
            is_issuer_known=is_issuer_known,
            created_at=now,
        )
        fix.people.set(people)
    return fix


def fields(scope: Scope, store: Store) -> list[Field]:
    """The fields of some members: those first that their failures name, or that are unlike what arrived."""
    rows = list(members_of(scope, store).select_related("event")[:SAMPLED])
    members = {one.delivery_id: one for one in read_members(members_of(scope, store), SAMPLED)}
    examples: dict[Place, Any] = {}
    suspects: Counter[Place] = Counter()
    for delivery in rows:
        if (member := members.get(delivery.pk)) is not None:
            for place, value in fields_of(member.payload):
                examples.setdefault(place, value)
            suspects.update(set(_suspected(member, delivery)))
    named = [place for place, count in suspects.most_common() if count * 2 >= len(rows)]
    if not named:
        payloads = [member.payload for member in members.values()]
        named = fields_unlike(examples, payloads, accepted_payloads(rows))
    rest = [place for place in examples if place not in named]
    return [Field(spelled(place), examples.get(place), place in named) for place in [*named, *rest]]


def _suspected(member: Member, delivery: Delivery) -> list[Place]:
    attempt = delivery.attempts.order_by("-number").only("error_kind", "error_message", "response_status").first()
    found = diagnose(
        kind=attempt.error_kind if attempt is not None else "",
        status=attempt.response_status if attempt is not None else delivery.last_status,
        message=delivery.last_error,
        payload=member.payload,
    )
    places = []
    for path in found.suspicious_fields:
        place = parse_place(path if path.startswith("/") else pointer_of(path))
        if look_up(member.payload, place) is not None:
            places.append(place)
    return places


def save_draft(
    *,
    fix: BulkFix,
    place: str | None = None,
    rules: Sequence[Mapping[str, Any]] | None = None,
    updates_records: bool | None = None,
    includes_unlike: bool | None = None,
    reason: str | None = None,
    typed: Mapping[uuid.UUID, Mapping[str, Any] | None] | None = None,
    editor: Actor | None = None,
) -> None:
    """Keep what has been set up so far; `typed` are values by delivery, None takes one back. `editor` cannot approve
    the fix then.

    A draft keeps rules that are not complete yet. Raises PlaceError for what names no field.
    """
    with transaction.atomic():
        found = BulkFix.objects.select_for_update(of=("self",)).get(pk=fix.pk)
        if found.status != BulkFix.Status.DRAFT:
            raise ResolutionError(
                "conflict", _("This fix has been sent already. Start another one for what still fails.")
            )
        if place is not None:
            found.place = pointer(parse_place(place))
            if found.place != fix.place:
                found.items.all().delete()  # they were values of the other field
        if rules is not None:
            found.rules = [dict(one) for one in rules]
        found.updates_records = found.updates_records if updates_records is None else updates_records
        found.includes_unlike = found.includes_unlike if includes_unlike is None else includes_unlike
        found.reason = found.reason if reason is None else reason.strip()
        found.save()
        _type(found, typed or {})
        if editor is not None and editor.user is not None:
            found.people.add(editor.user)
    fix.refresh_from_db()


def _type(fix: BulkFix, typed: Mapping[uuid.UUID, Mapping[str, Any] | None]) -> None:
    fix.items.filter(delivery_id__in=list(typed)).delete()
    rows = [
        BulkFixItem(fix=fix, delivery_id=pk, change=dict(change), is_typed=True)
        for pk, change in typed.items()
        if change is not None
    ]
    BulkFixItem.objects.bulk_create(rows, batch_size=200)
    if fix.items.count() > MEMBERS_LIMIT:
        raise ResolutionError(
            "too_many",
            _("At most %(limit)s values can be typed or imported.") % {"limit": grouped(MEMBERS_LIMIT)},
        )


def field_fix(
    *,
    scope: Scope,
    store: Store,
    place: str,
    rules: Sequence[Mapping[str, Any]],
    typed: Mapping[uuid.UUID, Mapping[str, Any]] | None = None,
) -> FieldFix:
    """What is done to the members of the scope. Raises RuleError, PlaceError, ResolutionError without a field."""
    if not place:
        raise ResolutionError("invalid", _("Choose the field that is to be fixed."), "field")
    field = parse_place(place)
    steps = parse_rules(rules)
    return FieldFix(field, steps, config_of(store.pk), _shape(scope, store, field), typed or {})


def shape_for(fix: BulkFix) -> Shape | None:
    """What accepted values of the draft's field look like."""
    return _shape(fix.scope, fix.store, parse_place(fix.place)) if fix.place else None


def _shape(scope: Scope, store: Store, place: Place) -> Shape | None:
    return accepted_shape(list(members_of(scope, store).only("integration_id", "topic", "id")[:200]), place)


def preview(
    *,
    scope: Scope,
    store: Store,
    fix: FieldFix,
    is_wanted: Callable[[int, Row], bool],
    seconds: float = PREVIEW_SECONDS,
) -> Plan:
    """The counts over all members (the newest `MEMBERS_LIMIT`), and the rows that are wanted. Raises FilterError."""
    rows = members_of(scope, store)
    plan = make_plan(read_members(rows), fix, is_wanted=is_wanted, seconds=seconds)
    plan.matching = plan.reached
    if plan.reached >= MEMBERS_LIMIT or not plan.is_complete:
        plan.matching = rows.count()
    return plan


def preview_fix(fix: BulkFix, *, is_wanted: Callable[[int, Row], bool], seconds: float = PREVIEW_SECONDS) -> Plan:
    """The same for a draft. Raises RuleError, ResolutionError, FilterError."""
    typed = {item.delivery_id: item.change for item in fix.items.filter(is_typed=True)}
    done = field_fix(scope=fix.scope, store=fix.store, place=fix.place, rules=fix.rules, typed=typed)
    return preview(scope=fix.scope, store=fix.store, fix=done, is_wanted=is_wanted, seconds=seconds)


def rows_for(fix: BulkFix, ids: Collection[uuid.UUID], *, with_rules: bool = True) -> list[Row]:
    """The rows of these members only. Raises as `preview_fix` does; not for its rules if they are left out."""
    typed = {item.delivery_id: item.change for item in fix.items.filter(is_typed=True, delivery_id__in=ids)}
    rules = fix.rules if with_rules else []
    done = field_fix(scope=fix.scope, store=fix.store, place=fix.place, rules=rules, typed=typed)
    return [done.row(one) for one in read_members(members_of(fix.scope, fix.store).filter(id__in=ids))]


def values_now(fix: BulkFix, number: int) -> list[Any]:
    """The field's values in the newest members, to look for rules."""
    place = parse_place(fix.place)
    return [
        look_up(one.payload, place) for one in islice(read_members(members_of(fix.scope, fix.store), number), number)
    ]


def prune_drafts(before: datetime) -> int:
    """Delete drafts from before; returns how many."""
    drafts = BulkFix.objects.filter(status=BulkFix.Status.DRAFT, created_at__lt=before)
    return drafts.delete()[1].get("deliveries.BulkFix", 0)


def prune_values(before: datetime, batch: int) -> int:
    """Delete items of fixes that were decided before, and uses of recipes: they hold or name payloads that are pruned
    too. The fixes and recipes stay, with their counts. Returns how many rows, at most twice `batch`."""
    old = BulkFixItem.objects.filter(fix__created_at__lt=before).exclude(fix__status=BulkFix.Status.AWAITING)
    uses = RecipeUse.objects.filter(created_at__lt=before)
    with transaction.atomic():
        items = old.filter(pk__in=list(old.values_list("pk", flat=True)[:batch])).delete()[0]
        return items + uses.filter(pk__in=list(uses.values_list("pk", flat=True)[:batch])).delete()[0]
