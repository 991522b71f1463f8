"""Channels: of one store, of several, or of all."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from django.core.exceptions import ValidationError

from config.as_code.references import SecretText, as_secret
from config.as_code.sections.base import (
    BOOLEAN,
    NAME,
    OBJECT,
    TEXT,
    TEXTS,
    Context,
    Field,
    Section,
    Values,
    choice,
    described,
)
from integrations.models import Store
from notifications.channel_services import delete_channel, option_values, save_channel_of
from notifications.channel_timing import timing_of
from notifications.channels import CHANNEL_KINDS
from notifications.models import Channel, Notification

_MINUTES = {"type": ["integer", "null"]}
#: What null means.
_DEFAULTS: dict[str, Any] = {"min_severity": Notification.Level.ERROR.value, "active": True, "integrations": []}


class Channels(Section):
    name = "channels"
    noun = "channel"
    key = "name"
    description = "A channel is of one store (store), or of several, or of all (stores: [])."
    is_key_unique = False

    @property
    def fields(self) -> tuple[Field, ...]:  # type: ignore[override]  # names of kinds come from packages too
        return (
            Field("name", NAME),
            Field("stores", described(TEXTS, "Instead of store. Empty: all.")),
            Field("kind", {"enum": list(CHANNEL_KINDS)}),
            Field("options", described(OBJECT, "The kind's own fields, and recipients."), takes_references=True),
            Field("min_severity", choice(Notification.Level.values)),
            Field("integrations", described(TEXTS, "Slugs; empty: all.")),
            Field("quiet_from", described(TEXT, "UTC, such as 22:00.")),
            Field("quiet_until", TEXT),
            Field("window_minutes", described(_MINUTES, "Deduplication window.")),
            Field("digest_minutes", described(_MINUTES, "0 sends each message immediately.")),
            Field("active", BOOLEAN),
        )

    def owner(self, store: str | None, values: Values, context: Context) -> Hashable:
        names = values.pop("stores", None)
        if names is None:
            found = super().owner(store, values, context)
            return frozenset([found])
        if store is not None:
            raise ValueError("Give either store or stores.")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("stores is a list of names; empty: all.")
        return frozenset(super(Channels, self).owner(name, values, context) for name in names)

    def rows(self, store: Store) -> list[Any]:
        return self._with_stores(frozenset([store]))

    def rows_of(self, owner: Any, context: Context) -> list[Any]:
        return self._with_stores(owner)

    def owners_to_prune(self, context: Context) -> Iterable[Hashable]:
        """Sets of stores that the file names. A channel of all stores is nobody's to delete."""
        named = set(context.stores.values())
        rows = Channel.objects.filter(stores__in=named).prefetch_related("stores").distinct()
        return {stores for row in rows if (stores := frozenset(row.stores.all())) <= named}

    def shared(self) -> list[Any]:
        """Those of several stores, or of all."""
        rows = Channel.objects.prefetch_related("stores", "integrations").order_by("name", "id")
        return [row for row in rows if len(row.stores.all()) != 1]

    def _with_stores(self, stores: frozenset[Store]) -> list[Any]:
        rows = Channel.objects.filter(stores__in=stores).distinct() if stores else Channel.objects.filter(stores=None)
        rows = rows.prefetch_related("stores", "integrations").order_by("name", "id")
        return [row for row in rows if frozenset(row.stores.all()) == stores]

    def state(self, row: Channel) -> Values:
        kind = CHANNEL_KINDS.get(row.kind)
        plain = {each.name for each in kind.fields if not each.is_secret} if kind else set()
        options: dict[str, Any] = {
            name: value if name in plain else as_secret(value) for name, value in option_values(row).items()
        }
        if kind is None or kind.has_recipients:
            options["recipients"] = list(row.recipients)
        return {
            "name": row.name,
            "kind": row.kind,
            "options": options,
            "min_severity": row.level,
            "integrations": sorted(each.slug for each in row.integrations.all() if each.deleted_at is None),
            **timing_of(row),
            "active": row.is_enabled,
        }

    def create(self, store: Any, values: Values, context: Context) -> Channel:
        return self._save(None, sorted(store, key=lambda one: one.name), values, context)

    def update(self, row: Channel, values: Values, context: Context) -> None:
        self._save(row, list(row.stores.order_by("name")), values, context)

    def delete(self, row: Channel, context: Context) -> None:
        stores = list(row.stores.all())
        delete_channel(channel=row, store=stores[0] if len(stores) == 1 else None, actor=context.actor)

    def _save(self, row: Channel | None, stores: list[Store], values: Values, context: Context) -> Channel:
        given = {name: _DEFAULTS.get(name) if value is None else value for name, value in values.items()}
        kind = CHANNEL_KINDS.get(row.kind if row is not None else str(given.get("kind")))
        for each in kind.fields if kind else ():
            value = (given.get("options") or {}).get(each.name) if isinstance(given.get("options"), dict) else None
            if each.is_secret and isinstance(value, str) and value and not isinstance(value, SecretText):
                message = f"{each.name}: a secret does not stand in this file. Write {{env: NAME}} or {{file: PATH}}."
                raise ValidationError({"options": message})
        return save_channel_of(channel=row, stores=stores, actor=context.actor, values=given)  # type: ignore[arg-type]
