"""Sources. Their addresses belong to the installation: each has its own."""

from __future__ import annotations

from typing import Any

from config.as_code.references import SecretText
from config.as_code.sections.base import (
    BOOLEAN,
    NAME,
    OBJECT,
    SECRET,
    Context,
    Field,
    Section,
    Values,
    choice,
    described,
)
from integrations.models import Source, Store
from integrations.services import create_source, delete_source, update_source
from integrations.sources import SOURCE_KINDS

_PLAIN = ("slug", "name", "kind", "mode", "options", "mapping", "is_enabled")


class Sources(Section):
    name = "sources"
    noun = "source"
    key = "slug"

    @property
    def fields(self) -> tuple[Field, ...]:  # type: ignore[override]  # names of kinds come from packages too
        return (
            Field("slug", {"type": "string", "pattern": "^[-a-zA-Z0-9_]{1,100}$"}),
            Field("name", NAME),
            Field("kind", {"enum": list(SOURCE_KINDS)}),
            Field("mode", choice(Source.Mode.values)),
            Field("secret", described(SECRET, "Proves requests; Hookdesk makes it where it may."), True, True),
            Field("options", described(OBJECT, "What the kind needs.")),
            Field("mapping", described(OBJECT, "JMESPath by field, where the kind's default is not meant.")),
            Field("is_enabled", BOOLEAN),
        )

    def rows(self, store: Store) -> list[Any]:
        rows = Source.objects.alive().filter(store=store).select_related("store")
        return list(rows.prefetch_related("secrets").order_by("slug"))

    def state(self, row: Source) -> Values:
        state: Values = {name: getattr(row, name) for name in _PLAIN}
        if secrets := [each.value for each in row.secrets.all() if each.expires_at is None]:
            state["secret"] = SecretText(secrets[0])
        return state

    def create(self, store: Store, values: Values, context: Context) -> Source:
        return create_source(store=store, actor=context.actor, **values)

    def update(self, row: Source, values: Values, context: Context) -> None:
        update_source(source=row, actor=context.actor, **values)

    def delete(self, row: Source, context: Context) -> None:
        delete_source(source=row, actor=context.actor)
