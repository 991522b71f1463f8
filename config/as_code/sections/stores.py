"""Stores: what staff set on them. Their tokens and their staff belong to the installation."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from config.as_code.sections.base import BOOLEAN, NAME, OBJECT, Context, Field, Section, Values, described
from integrations.models import Store
from integrations.services.stores import create_store, update_store

_FIELDS = ("singular_overrides", "is_reason_required", "is_approval_required")


class Stores(Section):
    name = "stores"
    noun = "store"
    key = "name"
    has_store = False
    description = "Stores that are missing are created. None is ever deleted."
    fields = (
        Field("name", NAME),
        Field("singular_overrides", described(OBJECT, "Plural to singular, where English rules fail.")),
        Field("is_reason_required", described(BOOLEAN, "Staff must say why when they edit or discard a payload.")),
        Field(
            "is_approval_required",
            described(BOOLEAN, "Edited payloads need a second person. Only two people can switch it off again."),
        ),
    )

    def owner(self, store: str | None, values: Values, context: Context) -> Hashable:
        return None

    def rows_of(self, owner: Any, context: Context) -> list[Any]:
        return list(context.stores.values())

    def owners_to_prune(self, context: Context) -> Iterable[Hashable]:
        return ()

    def is_listed(self, row: Store) -> bool:
        return False  # never deleted

    def state(self, row: Store) -> Values:
        return {"name": row.name, **{name: getattr(row, name) for name in _FIELDS}}

    def create(self, store: Any, values: Values, context: Context) -> Store:
        return create_store(actor=context.actor, **values)

    def update(self, row: Store, values: Values, context: Context) -> None:
        update_store(store=row, actor=context.actor, **values)
