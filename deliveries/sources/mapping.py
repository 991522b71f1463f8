"""From what a kind reads in a request to what is stored, by the source's mapping. No database access here.

Mappings are a tenant's code: all of a request's run under one allowance, as filters and conditions of a push do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from deliveries.ingest.parsing import Invalid, read_events, read_objects
from deliveries.ingest.plan import PublishedEvent, PushedObject
from integrations.foundation.strict_json import DocumentError, dump_document
from integrations.sources.base import Incoming, Item, Unreadable
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, transform

MAX_OBJECT = 255


@dataclass(frozen=True, slots=True)
class Draft:
    """One thing to store, and the digest under which it is taken only once (None: each time)."""

    stored: PublishedEvent | PushedObject
    key: str | None


@dataclass(frozen=True, slots=True)
class MappingOf:
    """A source's mapping: `expressions` by field, whether it makes records, and its store's words."""

    expressions: Mapping[str, str]
    is_record: bool
    overrides: Mapping[str, str]


def drafts_of(items: Sequence[Item], request: Incoming, mapping: MappingOf, now: datetime) -> list[Draft]:
    """Raises Unreadable: a mapping that cannot be applied, or what it makes cannot be stored.

    Headers that carry credentials are masked in `request`, so that none gets into an event.
    """
    allowance = Allowance()
    allowance.grant(len(request.body))
    return [_draft(item, index, request, mapping, allowance, now) for index, item in enumerate(items)]


def _draft(item: Item, index: int, request: Incoming, mapping: MappingOf, allowance: Allowance, now: datetime) -> Draft:
    found = _evaluated(item, request, mapping.expressions, allowance)
    item = replace(
        item,
        topic=_text(found, "topic", item.topic),
        intent=_text(found, "intent", item.intent),
        object_type=_text(found, "object_type", item.object_type),
        object_id=_text(found, "object_id", item.object_id),
    )
    if found.get("intent") is not None and found.get("topic") is None:
        item = replace(item, topic=None)
    if mapping.is_record:
        default = item.data if item.record is None else item.record
        return Draft(_object(item, found.get("data", default), mapping), _key(item, found, None))
    fallback = hashlib.sha256(request.body).hexdigest() + f":{index}"
    return Draft(_event(item, found.get("data", item.data), now), _key(item, found, fallback))


def _evaluated(item: Item, request: Incoming, expressions: Mapping[str, str], allowance: Allowance) -> dict[str, Any]:
    """The results of the expressions that gave one; a null asks for the kind's default."""
    if not expressions:
        return {}
    document = {"headers": dict(request.headers), "query": dict(request.query), "body": item.body}
    found: dict[str, Any] = {}
    for name, text in expressions.items():
        try:
            with allowance.evaluation() as budget:
                value = transform(text, document, budget=budget)
        except BudgetExceeded:
            words = _("Evaluating the source's mapping on this takes too long. Simplify it.")
            raise Unreadable(words, name) from None
        except ExpressionError as error:
            words = _("The mapping of %(name)s cannot be evaluated: %(error)s")
            raise Unreadable(words % {"name": name, "error": error.message}, name) from None
        if value is not None:
            found[name] = value
    return found


def _text(found: Mapping[str, Any], name: str, default: str | None) -> str | None:
    if name not in found:
        return default
    value = found[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable(_("The mapping of %(name)s must give a text.") % {"name": name}, name)
    return str(value)


def _key(item: Item, found: Mapping[str, Any], fallback: str | None) -> str | None:
    """Records are merged: the same again changes nothing, and an earlier state may come back. So they need an id."""
    if "dedupe" in found:
        value = found["dedupe"]
        if value is False:
            return None
        try:
            text: str | None = f"mapped:{dump_document(value)}"
        except DocumentError as error:
            words = _("The mapping of dedupe gives what cannot be kept: %(error)s")
            raise Unreadable(words % {"error": error.message}, "dedupe") from None
    else:
        text = f"id:{item.dedupe}" if item.dedupe else None if fallback is None else f"hash:{fallback}"
    return None if text is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _event(item: Item, data: Any, now: datetime) -> PublishedEvent:
    document = {"topic": item.topic, "intent": item.intent, "data": data}
    if item.topic is None and item.intent is None:
        raise Unreadable(_("There is no topic in this request. Map topic, or intent, to where it is."), "topic")
    try:
        (event,) = read_events(document, now)
    except Invalid as error:
        raise Unreadable(error.message, error.field) from None
    with suppress(Invalid):  # a vendor's odd time must not cost the event
        (event,) = read_events(document | {"occurred_at": item.occurred_at}, now)
    return replace(
        event,
        object_type=(item.object_type or "")[:MAX_OBJECT] or None,
        object_id=None if item.object_id is None else item.object_id[:MAX_OBJECT],
    )


def _object(item: Item, data: Any, mapping: MappingOf) -> PushedObject:
    if not isinstance(data, dict):
        raise Unreadable(_("Only an object can be kept as a record. Map data to one."), "data")
    if item.object_type is None:
        raise Unreadable(_("It is not known what type of object this is. Map object_type."), "object_type")
    if item.object_id is None:
        raise Unreadable(_("This object has no id. Map object_id to where it is."), "object_id")
    try:
        (found,) = read_objects({item.object_type: [{"id": item.object_id}]}, mapping.overrides)
    except Invalid as error:
        is_id = (error.field or "").endswith(".id")
        raise Unreadable(error.message, "object_id" if is_id else "object_type") from None
    return replace(found, data=data if "id" in data else {"id": item.object_id, **data})
