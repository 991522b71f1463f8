"""Declared topics."""

from __future__ import annotations

from typing import Any

from config.as_code.sections.base import NAME, OBJECT, TEXT, Context, Field, Section, Values, described
from integrations.models import Store
from subscriptions.models import Topic
from subscriptions.services import create_topic, delete_topic, update_topic


class Topics(Section):
    name = "topics"
    noun = "topic"
    key = "name"
    fields = (
        Field("name", described(NAME, "Such as order.paid.")),
        Field("description", TEXT),
        Field("schema", described(OBJECT, "JSON Schema of the data.")),
        Field("condition", described(TEXT, "JMESPath over old and new: a change that makes it true emits the topic.")),
    )

    def rows(self, store: Store) -> list[Any]:
        return list(Topic.objects.filter(store=store).select_related("store").order_by("name"))

    def state(self, row: Topic) -> Values:
        return {each.name: getattr(row, each.name) for each in self.fields}

    def create(self, store: Store, values: Values, context: Context) -> Topic:
        return create_topic(store=store, actor=context.actor, **values)

    def update(self, row: Topic, values: Values, context: Context) -> None:
        update_topic(topic=row, actor=context.actor, **values)

    def delete(self, row: Topic, context: Context) -> None:
        delete_topic(topic=row, actor=context.actor)
