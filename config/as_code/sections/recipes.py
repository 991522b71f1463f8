"""Recipes that are kept for later failures. One that has switched itself off is never switched on by a file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from config.as_code.sections.base import BOOLEAN, NAME, Context, Field, Pair, Section, Values, described, matched
from deliveries.models import Recipe
from deliveries.recipes.keeping import CAP, keep_recipe_for, switch_off
from deliveries.recipes.rules import RuleError, parse_rules
from deliveries.resolution import ResolutionError
from integrations.foundation.json_places import PlaceError, parse_place, spelled
from integrations.models import Integration, Store

_WHICH = ("integration", "topic", "kind", "fingerprint")
_REQUIRED = (*_WHICH, "field", "rules", "expires_at")
_INTEGER = {"type": ["integer", "null"]}


class Recipes(Section):
    name = "recipes"
    noun = "recipe"
    key = "name"
    is_key_unique = False
    deletes_first = True  # there is one at most for each failure
    description = "Rules for later failures of one kind. A recipe that is changed is made anew."
    fields = (
        Field("name", NAME),
        Field("integration", described(NAME, "The slug of an integration.")),
        Field("topic", NAME),
        Field("kind", described(NAME, "Of the failure, such as http_422.")),
        Field("fingerprint", described({"type": "string", "pattern": "^[0-9a-f]{64}$"}, "Of the failure's message.")),
        Field("field", described(NAME, "Such as shipping_address.phone.")),
        Field("rules", {"type": "array", "items": {"type": "object", "required": ["rule"]}}),
        Field("update_records", BOOLEAN),
        Field("expires_at", {"type": "string", "format": "date-time"}),
        Field("daily_cap", _INTEGER),
        Field("approve_first", described(_INTEGER, "The first so many wait for approval.")),
    )

    def rows(self, store: Store) -> list[Any]:
        """Those that work, and those that were switched off and have not expired."""
        known = Q(is_active=True) | Q(expires_at__gt=timezone.now())
        rows = Recipe.objects.filter(known, store=store, integration__deleted_at=None)
        found = list(rows.select_related("integration", "store").order_by("-is_active", "-created_at"))
        return sorted(found, key=lambda row: (not row.is_active, row.name, row.integration.slug, row.topic))

    def is_listed(self, row: Recipe) -> bool:
        return row.is_active and row.expires_at > timezone.now()

    def state(self, row: Recipe) -> Values:
        return {
            "name": row.name,
            "integration": row.integration.slug,
            "topic": row.topic,
            "kind": row.kind,
            "fingerprint": row.fingerprint,
            "field": spelled(parse_place(row.place)),
            "rules": row.rules,
            "update_records": row.updates_records,
            "expires_at": row.expires_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "daily_cap": row.daily_cap,
            "approve_first": row.approve_first,
        }

    def pair(self, entries: Sequence[Values], rows: Sequence[Any], context: Context) -> list[Pair]:
        """By the failures that it is for: one that works, else the same one that was switched off."""
        pairs = [Pair(values) for values in entries]
        states = {row.pk: self.state(row) for row in rows}
        active = [row for row in rows if row.is_active]
        matched(pairs, active, _which, lambda row: _which(states[row.pk]))
        off = [row for row in rows if not row.is_active]
        matched(pairs, off, _all_of, lambda row: _all_of(states[row.pk]))
        return pairs

    def create(self, store: Store, values: Values, context: Context) -> Recipe | None:
        """None for one that has expired."""
        missing = [name for name in _REQUIRED if values.get(name) is None]
        if missing:
            raise ValidationError({missing[0]: f"{missing[0]} is required."})
        expires_at = _moment(values["expires_at"])
        if expires_at <= timezone.now():
            return None
        integration = Integration.objects.alive().filter(store=store, slug=str(values["integration"])).first()
        if integration is None:
            message = f"There is no integration {values['integration']!r} in this store."
            raise ValidationError({"integration": message})
        try:
            return keep_recipe_for(
                integration=integration,
                kind=_text(values, "kind"),
                fingerprint=_text(values, "fingerprint"),
                topic=_text(values, "topic"),
                name=_text(values, "name"),
                place=_text(values, "field"),
                rules=values["rules"],
                actor=context.actor,
                expires_at=expires_at,
                updates_records=_boolean(values),
                daily_cap=_integer(values, "daily_cap", CAP),
                approve_first=_integer(values, "approve_first", 0),
            )
        except RuleError as error:
            raise ValidationError({"rules": error.message}) from None
        except PlaceError as error:
            raise ValidationError({"field": str(error)}) from None
        except ResolutionError as error:
            raise ValidationError({error.path or "name": error.message}) from None

    def update(self, row: Recipe, values: Values, context: Context) -> Recipe:
        if not row.is_active:
            return row
        switch_off(recipe=row, actor=context.actor, reason="Replaced by a configuration file.")
        return self.create(row.store, {**self.state(row), **values}, context) or row

    def delete(self, row: Recipe, context: Context) -> None:
        switch_off(recipe=row, actor=context.actor, reason="It is in the configuration file no more.")


def _all_of(values: Values) -> Any:
    """What makes it what it is, in one spelling; what cannot be read is refused when it is made."""
    try:
        return [
            *_which(values),
            spelled(parse_place(values["field"])),
            [step.as_json() for step in parse_rules(values["rules"])],
            _moment(values["expires_at"]),
        ]
    except (KeyError, TypeError, PlaceError, RuleError, ValidationError):
        return None


def _which(values: Values) -> Any:
    return [values.get(name) for name in _WHICH]


def _moment(value: Any) -> datetime:
    try:
        found = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValidationError({"expires_at": "Write a time with its zone, such as 2027-01-31T00:00:00Z."})
    return found


def _text(values: Values, name: str) -> str:
    if not isinstance(values[name], str):
        raise ValidationError({name: "Write a text here."})
    return str(values[name])


def _boolean(values: Values) -> bool:
    value = values.get("update_records")
    if value is not None and not isinstance(value, bool):
        raise ValidationError({"update_records": "This is either true or false."})
    return True if value is None else bool(value)


def _integer(values: Values, name: str, default: int) -> int:
    value = values.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError({name: "Write a whole number."})
    return int(value)
