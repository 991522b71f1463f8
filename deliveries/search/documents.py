"""Makes and deletes search documents."""

from __future__ import annotations

import secrets
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal, cast

from django.db.models import Q

from deliveries.models import (
    Attempt,
    Delivery,
    DeliveryDocument,
    Event,
    EventDocument,
    Record,
    RecordDocument,
    Revision,
    SearchDocument,
)
from deliveries.search.text import document, lines_of
from integrations.foundation.identifiers import public_id
from subscriptions.models import Topic

Kind = Literal["event", "delivery", "record"]

#: Attempts of a failed delivery whose errors and answers are searchable: the last ones. Bytes of an answer.
ATTEMPTS: Final = 3
ANSWER_LIMIT: Final = 4_000
#: How often a free id is looked for; what gets none is looked for again by the next run.
TRIES: Final = 6
#: The origins whose events nobody looks for: they are ours.
UNSEARCHED: Final = (Event.Origin.TEST, Event.Origin.POLL)


def first_document_id(moment: datetime) -> int:
    """The id of the first document of that time: milliseconds since 1970. The next ones take the next free numbers.

    So documents sort by time, also in SQLite's index, which reads the newest first and keeps the distances of ids: the
    smaller they are, the smaller is the index.
    """
    return int(moment.timestamp() * 1000)


def _give_ids(model: type[SearchDocument], documents: Sequence[SearchDocument]) -> None:
    """Move those whose id is another one's to the next free."""
    taken: set[int] = set()
    for attempt in range(TRIES):
        for row in documents:
            while row.id in taken:
                row.id += 1
            taken.add(row.id)
        others = set(model._default_manager.filter(id__in=[row.id for row in documents]).values_list("id", flat=True))
        if not others:
            return
        for row in documents:
            if row.id in others:
                row.id += 1 + secrets.randbelow(8**attempt)
        taken = set(others)


def moment_of_id(key: uuid.UUID) -> int:
    """Milliseconds since 1970 in an id that sorts by time."""
    return key.int >> 80


class Unsearched:
    """Topics that are switched off, by store."""

    def __init__(self) -> None:
        self._names: dict[uuid.UUID, set[str]] = defaultdict(set)
        for store_id, name in Topic.objects.filter(is_searchable=False).values_list("store_id", "name"):
            self._names[store_id].add(name)

    def has(self, store_id: uuid.UUID, topic: str) -> bool:
        return topic in self._names.get(store_id, ())

    def types_of(self, store_id: uuid.UUID) -> set[str]:
        """The types of objects that any of its topics is about: their records have the same data."""
        return {name.split(".", 1)[0] for name in self._names.get(store_id, ())}

    def of_events(self) -> Q:
        """The condition for events that are not searched."""
        condition = Q(origin__in=UNSEARCHED)
        for store_id, names in self._names.items():
            condition |= Q(store_id=store_id) & (Q(topic__in=names) | Q(topic=None, intent__in=names))
        return condition

    def of_deliveries(self) -> Q:
        condition = Q(trigger="test") | Q(event__origin__in=UNSEARCHED)
        for store_id, names in self._names.items():
            condition |= Q(store_id=store_id, topic__in=names)
        return condition


def event_documents(events: Sequence[Event], unsearched: Unsearched) -> list[EventDocument]:
    """Of those that may be searched. Reads their deliveries' ids."""
    ids = defaultdict(list)
    for event_id, pk in Delivery.objects.filter(event__in=[event.pk for event in events]).values_list("event_id", "id"):
        ids[event_id].append(pk)
    return [
        EventDocument(
            id=moment_of_id(event.pk),
            store_id=event.store_id,
            topic=_topic_of(event),
            event_id=event.pk,
            text=document([*_event_head(event, ids[event.pk]), *lines_of(event.data)]),
        )
        for event in events
        if event.origin not in UNSEARCHED and not unsearched.has(event.store_id, _topic_of(event))
    ]


def _topic_of(event: Event) -> str:
    return event.topic or event.intent or ""


def _event_head(event: Event, deliveries: Iterable[uuid.UUID]) -> list[str]:
    about = f"{event.object_type}/{event.object_id}" if event.object_id else event.object_type
    names = [name for name in (event.topic, event.intent) if name]
    return [event.public_id, *names, about, *(public_id("dlv", pk) for pk in deliveries)]


def delivery_documents(deliveries: Sequence[Delivery], unsearched: Unsearched) -> list[DeliveryDocument]:
    """Of deliveries with their events and integrations. Reads their last attempts and their edits."""
    ids = [delivery.pk for delivery in deliveries]
    said: dict[uuid.UUID, list[Attempt]] = defaultdict(list)
    for attempt in Attempt.objects.filter(delivery__in=ids).exclude(outcome="succeeded").order_by("-number"):
        if len(said[attempt.delivery_id]) < ATTEMPTS:
            said[attempt.delivery_id].append(attempt)
    edits: dict[uuid.UUID, list[Any]] = defaultdict(list)
    for delivery_id, data in Revision.objects.filter(delivery__in=ids).values_list("delivery_id", "data"):
        edits[delivery_id].append(data)
    return [
        DeliveryDocument(
            id=moment_of_id(delivery.event_id),
            store_id=delivery.store_id,
            topic=delivery.topic,
            delivery_id=delivery.pk,
            attempts=delivery.attempt_count,
            text=_delivery_text(delivery, said[delivery.pk], edits[delivery.pk]),
        )
        for delivery in deliveries
        if delivery.event.origin not in UNSEARCHED and not unsearched.has(delivery.store_id, delivery.topic)
    ]


def _delivery_text(delivery: Delivery, attempts: Sequence[Attempt], edits: Sequence[Any]) -> str:
    errors = [delivery.last_error]
    for attempt in attempts:
        answer = bytes(attempt.response_body or b"")[:ANSWER_LIMIT].decode("utf-8", "replace")
        errors += [attempt.error_message, attempt.summary, answer]
        if attempt.response_status:
            errors.append(f"status:{attempt.response_status}")
    return document(
        [
            delivery.public_id,
            f"integration:{delivery.integration.slug}",
            delivery.integration.name,
            *dict.fromkeys(filter(None, errors)),
            *_event_head(delivery.event, []),
            *lines_of(delivery.event.data),
            *(line for data in edits for line in lines_of(data)),
        ]
    )


def record_documents(records: Sequence[Record], unsearched: Unsearched) -> list[RecordDocument]:
    return [
        RecordDocument(
            id=first_document_id(record.updated_at),
            store_id=record.store_id,
            topic=record.type,
            record_id=record.pk,
            version=record.version,
            text=document([f"{record.type}/{record.external_id}", *lines_of(record.data)]),
        )
        for record in records
        if record.type not in unsearched.types_of(record.store_id)
    ]


def write_events(documents: Sequence[EventDocument]) -> None:
    """Those that have none yet."""
    _give_ids(EventDocument, documents)
    EventDocument.objects.bulk_create(documents, ignore_conflicts=True)


def write_deliveries(documents: Sequence[DeliveryDocument]) -> None:
    """Replace theirs, inside a transaction."""
    forget("delivery", [row.delivery_id for row in documents])
    _give_ids(DeliveryDocument, documents)
    DeliveryDocument.objects.bulk_create(documents, ignore_conflicts=True)


def write_records(documents: Sequence[RecordDocument]) -> None:
    """Replace theirs, inside a transaction."""
    forget("record", [row.record_id for row in documents])
    _give_ids(RecordDocument, documents)
    RecordDocument.objects.bulk_create(documents, ignore_conflicts=True)


def on_payloads_erased(kind: str, keys: Sequence[Any]) -> None:
    """Listener of `hooks.payloads_erased`: what was erased is not found any more, from the same moment on."""
    if kind in ("event", "delivery", "record"):
        forget(cast("Kind", kind), keys)


def forget(kind: Kind, ids: Collection[Any]) -> int:
    """Take these events, deliveries or records out of the search, inside the caller's transaction; returns how many
    documents were deleted. Of events, their deliveries too, whose documents have the event's data.

    What is still there and changes afterwards, or is indexed anew, gets in again with what it then has.
    """
    keys = list(ids)
    if kind == "record":
        return RecordDocument.objects.filter(record__in=keys).delete()[0]
    if kind == "delivery":
        return DeliveryDocument.objects.filter(delivery__in=keys).delete()[0]
    gone = DeliveryDocument.objects.filter(delivery__event__in=keys).delete()[0]
    return gone + EventDocument.objects.filter(event__in=keys).delete()[0]
