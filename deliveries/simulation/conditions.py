"""Of a topic with a condition: which past changes of objects would have emitted it.

A condition is about an object before and after a push. What it became is the data of the event of that push; what it
was is the data of the event before, as long as that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from deliveries.models import Event, SourceEvent
from deliveries.simulation.comparers import Found, SchemaComparer, charge, violations_of
from deliveries.simulation.comparing import Finding, Outcome, Verdict, compare
from integrations.foundation.strict_json import dump_document
from integrations.models import Source, Store
from integrations.object_types import singular
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.expressions.evaluation import ExpressionError, holds
from subscriptions.expressions.values import WorkExceeded
from subscriptions.matching import normalise_topic
from subscriptions.routing import TopicRule

TOO_DEAR: Final = "The condition takes too long on this data: the push would be refused."
#: Why nobody can tell what a condition would have said.
UNKNOWN: Final = "what the object was before is not kept"


@dataclass(frozen=True, slots=True)
class Change:
    """An object before (None: it was new) and after a push. Not `is_known`: what it was is not kept any more."""

    new: Any
    old: Any = None
    is_known: bool = True


def change_of(event: Event) -> Change | None:
    """What an event says of its object; None if it is about no change of a record."""
    if not _is_of_record(event):
        return None
    if event.topic == f"{event.object_type}.created":
        return Change(event.data, is_known=event.erased_at is None)
    before = _before(event)
    if before is None or before.erased_at is not None or event.erased_at is not None:
        return Change(event.data, is_known=False)
    return Change(event.data, before.data)


def _is_of_record(event: Event) -> bool:
    if event.origin == Event.Origin.SOURCE:
        found = SourceEvent.objects.filter(event_id=event.pk).select_related("source").first()
        return found is not None and found.source.mode == Source.Mode.RECORD
    return event.origin in (Event.Origin.PUSH, Event.Origin.PUSHBACK)


def _before(event: Event) -> Event | None:
    # The condition of the index, verbatim: SQLite does not use a partial index otherwise.
    indexed = RawSQL("NOT (deliveries_event.object_id = '')", [], output_field=BooleanField())
    rows = Event.objects.filter(indexed, object_id=event.object_id, store_id=event.store_id, id__lt=event.pk)
    rows = rows.filter(topic__in=_sources_of(event.object_type), object_type=event.object_type)
    return rows.exclude(origin__in=(Event.Origin.TEST, Event.Origin.EVENT)).order_by("-id").first()


def _sources_of(object_type: str) -> tuple[str, str]:
    """The topics of the events that say that an object has changed."""
    return f"{object_type}.created", f"{object_type}.updated"


def emitted(rule: TopicRule, change: Change, allowance: Allowance) -> Outcome:
    """Whether a push of this would emit the topic. Raises BudgetExceeded if the allowance is used up."""
    if not rule.condition:
        return Outcome(False)
    try:
        with allowance.evaluation() as budget:
            return Outcome(holds(rule.condition, change.old, change.new, budget))
    except WorkExceeded:
        if allowance.is_used_up:
            raise BudgetExceeded from None
        return Outcome(True, error=TOO_DEAR)
    except ExpressionError:
        if allowance.is_used_up:  # it may not be at fault: others have used up the budget
            raise BudgetExceeded from None
        return Outcome(False)  # as at a push


class TopicComparer:
    """Of a topic: which data its schema allows, and which changes emit it. Only what differs is compared."""

    def __init__(self, store: Store, before: TopicRule, after: TopicRule) -> None:
        self._rules = (before, after)
        one = partial(singular, overrides=store.singular_overrides)
        #: The type of objects that each condition is about.
        self._types = tuple(normalise_topic(rule.name, one).split(".", 1)[0] for rule in self._rules)
        self._sources: set[str] = set()
        if (before.name, before.condition) != (after.name, after.condition):
            for rule, object_type in zip(self._rules, self._types, strict=True):
                self._sources.update(_sources_of(object_type) if rule.condition else ())
        is_schema_new = (before.name, before.schema) != (after.name, after.schema)
        self._schema = SchemaComparer(store, before, after) if is_schema_new or not self._sources else None

    def is_about(self, topic: str | None, intent: str | None) -> bool:
        return topic in self._sources or (self._schema is not None and self._schema.is_about(topic, intent))

    def compare(self, event: Event, data_json: str, allowance: Allowance) -> list[Found]:
        found: list[Found] = []
        if self._schema is not None and (event.topic not in self._sources or self._schema.is_about(event.topic, None)):
            found = self._schema.compare(event, data_json, allowance)
        if event.topic in self._sources:
            # An event has one verdict on whether it is wanted, and this one says more.
            found = [one for one in found if one.finding.verdict != Verdict.SAME]
            found += [Found(event.pk, None, each) for each in self._of_condition(event, data_json, allowance)]
        return found

    def _of_condition(self, event: Event, data_json: str, allowance: Allowance) -> list[Finding]:
        charge(allowance, data_json)
        change = change_of(event)
        if change is None:
            return [Finding(Verdict.UNWANTED)]
        if not change.is_known:
            return [Finding(Verdict.UNKNOWN, UNKNOWN)]
        if change.old is not None:
            charge(allowance, dump_document(change.old))
        before, after = (
            emitted(rule, change, allowance) if object_type == event.object_type else Outcome(False)
            for rule, object_type in zip(self._rules, self._types, strict=True)
        )
        if after.is_wanted and not before.is_wanted:
            # The event would be new, so no schema has seen its data.
            after = replace(after, violations=violations_of(self._rules[1], event, allowance))
        return compare(before, after)
