"""Where in an object it was found: the line of its document that has the first word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deliveries.models import Delivery, DeliveryDocument, EventDocument, RecordDocument
from deliveries.search.finding import Kind
from deliveries.search.words import Word
from integrations.foundation.texts import shortened

LINE_LIMIT = 120


def lines_found(kind: Kind, rows: Sequence[Any], words: Sequence[Word]) -> dict[Any, str]:
    """By primary key; without those that have no document yet, or in which no one line has a word."""
    if not rows or not words:
        return {}
    return {key: line for key, text in _texts(kind, rows).items() if (line := _line(text, words))}


def _texts(kind: Kind, rows: Sequence[Any]) -> dict[Any, str]:
    keys = [row.pk for row in rows]
    if kind == "record":
        return dict(RecordDocument.objects.filter(record__in=keys).values_list("record_id", "text"))
    if kind == "event":
        return dict(EventDocument.objects.filter(event__in=keys).values_list("event_id", "text"))
    own = dict(DeliveryDocument.objects.filter(delivery__in=keys).values_list("delivery_id", "text"))
    others: list[Delivery] = [row for row in rows if row.pk not in own]
    events = dict(
        EventDocument.objects.filter(event__in={row.event_id for row in others}).values_list("event_id", "text")
    )
    return own | {row.pk: events[row.event_id] for row in others if row.event_id in events}


def _line(text: str, words: Sequence[Word]) -> str:
    return next((shortened(line, LINE_LIMIT) for word in words if (line := word.line_in(text))), "")
