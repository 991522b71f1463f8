"""Subscriptions. They have no name: one is recognised by where it sends, and by what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from config.as_code.references import SecretText
from config.as_code.sections.base import (
    BOOLEAN,
    OBJECT,
    SECRET,
    TEXT,
    TEXT_OR_REFERENCE,
    TEXTS,
    Context,
    Field,
    Pair,
    Section,
    Values,
    described,
    matched,
)
from config.as_code.sections.integrations import current_secret
from config.as_code.sections.parameters import clear_secret, shown_parameters, shown_url
from integrations.models import Integration, Store
from integrations.object_types import singular
from subscriptions.matching import normalise_topic
from subscriptions.models import Subscription
from subscriptions.services import create_subscription, delete_subscription, has_own_integration, update_subscription

_NAMES = {"ordered": "is_ordered", "active": "is_active"}
_PLAIN = ("topics", "intents", "event_names", "path", "filter", "transform", "ordered", "poll_every", "active")


class Subscriptions(Section):
    name = "subscriptions"
    noun = "subscription"
    key = ""
    description = "Each sends to an integration, or to a URL of its own."
    field_names = {ours: name for name, ours in _NAMES.items()}
    fields = (
        Field("integration", described(TEXT, "The slug of an integration. Or url.")),
        Field("url", TEXT_OR_REFERENCE, takes_references=True),
        Field("hub_secret", described(SECRET, "Signs requests to url."), is_secret=True, takes_references=True),
        Field("topics", TEXTS),
        Field("intents", TEXTS),
        Field("event_names", described(TEXTS, "For the topic event.created.")),
        Field("path", described(TEXT, "Appended to the integration's URL.")),
        Field("filter", described(TEXT, "JMESPath; truthy results pass.")),
        Field("transform", described(TEXT, "JMESPath; its result is sent.")),
        Field("parameters", described(OBJECT, "Values may be references."), takes_references=True),
        Field("ordered", described(BOOLEAN, "Strictly one at a time per record.")),
        Field("poll_every", described({"type": ["integer", "null"]}, "Seconds.")),
        Field("active", BOOLEAN),
    )

    def rows(self, store: Store) -> list[Any]:
        rows = Subscription.objects.alive().filter(store=store).select_related("store", "integration")
        found = list(rows.prefetch_related("integration__secrets").order_by("created_at", "id"))
        return sorted(found, key=lambda row: _order(self.state(row)))

    def state(self, row: Subscription) -> Values:
        state: Values
        if has_own_integration(row):
            secret = current_secret(row.integration)
            state = {
                "url": shown_url(row.integration.url),
                "hub_secret": secret if secret is not None else SecretText(""),
            }
        else:
            state = {"integration": row.integration.slug}
        state |= {name: getattr(row, _NAMES.get(name, name)) for name in _PLAIN}
        state["parameters"] = shown_parameters(row.parameters, row.integration)
        return {each.name: state[each.name] for each in self.fields if each.name in state}

    def pair(self, entries: Sequence[Values], rows: Sequence[Any], context: Context) -> list[Pair]:
        """By all that it takes, then by topics, intents and path, then by topics and intents. Whoever deletes what is
        not in the file may also change what would be deleted into what would be made: its history goes on."""
        pairs, left = [Pair(values) for values in entries], list(rows)
        overrides = rows[0].store.singular_overrides if rows else {}
        states = {row.pk: self.state(row) for row in rows}
        keys: list[Callable[[Values], Any]] = [
            lambda state: _what(state, overrides, "path", "filter", "event_names", "transform"),
            lambda state: _what(state, overrides, "path", "filter", "event_names"),
            lambda state: _what(state, overrides, "path"),
            lambda state: _what(state, overrides),
        ]
        if context.deletes:
            keys.append(_target)
        for key in keys:
            left = matched(pairs, left, key, lambda row, key=key: key(states[row.pk]))  # type: ignore[misc]
        return pairs

    def label(self, state: Values) -> str:
        wanted = ", ".join([*(state.get("topics") or []), *(f"intent {one}" for one in state.get("intents") or [])])
        # What follows the address may be a credential.
        return f"{wanted or 'polling'} → {_target(state).partition('?')[0]}"

    def create(self, store: Store, values: Values, context: Context) -> Subscription:
        given = self._given(store, values)
        _refuse_clear(values, given.get("integration"))
        return create_subscription(store=store, actor=context.actor, is_looked_up=True, **given)

    def update(self, row: Subscription, values: Values, context: Context) -> None:
        given = self._given(row.store, values)
        _refuse_clear(values, given.get("integration") or row.integration)
        update_subscription(subscription=row, actor=context.actor, is_looked_up=True, **given)

    def delete(self, row: Subscription, context: Context) -> None:
        # Its integration may have been deleted just now, and it with it.
        if Subscription.objects.alive().filter(pk=row.pk).exists():
            delete_subscription(subscription=row, actor=context.actor)

    def _given(self, store: Store, values: Values) -> Values:
        given = {_NAMES.get(name, name): value for name, value in values.items()}
        if (slug := given.get("integration")) is not None:
            found = Integration.objects.alive().filter(store=store, slug=str(slug)).first()
            if found is None:
                raise ValidationError({"integration": f"There is no integration {slug!r} in this store."})
            given["integration"] = found
        return given


def _target(state: Values) -> str:
    return str(state.get("integration") or state.get("url") or "")


def _what(state: Values, overrides: dict[str, str], *names: str) -> Any:
    topics = state.get("topics") if isinstance(state.get("topics"), list) else []
    spelled = sorted(_spelled(topic, overrides) for topic in topics or [])
    intents = state.get("intents") if isinstance(state.get("intents"), list) else []
    return _target(state), spelled, sorted(map(str, intents or [])), [state.get(name) or None for name in names]


def _spelled(topic: Any, overrides: dict[str, str]) -> str:
    try:
        return normalise_topic(topic, lambda word: singular(word, overrides))
    except (ValueError, AttributeError, TypeError):
        return str(topic)  # the service says what is wrong with it


def _order(state: Values) -> list[str]:
    return [_target(state), *(str(state.get(name)) for name in _PLAIN)]


def _refuse_clear(values: Values, integration: Integration | None) -> None:
    if name := clear_secret(values.get("parameters"), integration):
        message = f"{name}: a secret does not stand in this file. Write {{env: NAME}} or {{file: PATH}}."
        raise ValidationError({"parameters": message})
