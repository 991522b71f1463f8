"""Which deliveries a bulk fix is for, and their payloads, read in bounded steps."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet

from deliveries.filters import FilterError, apply_filters, clean_filters
from deliveries.models import Delivery, Revision
from deliveries.resolution import awaiting_among
from deliveries.resolution.bulk_fixes import latest_numbers
from integrations.models import Store

#: Deliveries of one bulk fix; of more, the newest.
MEMBERS_LIMIT: Final = 10_000
CHUNK: Final = 100
#: The ids of a selection.
IDS: Final = "ids"
SELECTION_LIMIT: Final = 1_000

Scope = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A failing delivery with the payload that it is sent with now."""

    delivery_id: uuid.UUID
    object_type: str
    object_id: str
    topic: str | None
    payload: dict[str, Any]
    seen_revision: int
    is_awaiting_approval: bool

    @property
    def name(self) -> str:
        """What people know it by; also the key of an export."""
        return self.object_id or str(self.delivery_id)


def clean_scope(scope: Scope) -> dict[str, Any]:
    """A scope as it is kept: filters as `deliveries.filters` has them, or `{"ids": [...]}`. Raises FilterError."""
    if IDS not in scope:
        cleaned = clean_filters(scope)
        return {name: text for name, text in cleaned.items() if name not in ("status", "bulk_fix")}
    given = scope[IDS]
    if set(scope) != {IDS} or not isinstance(given, Sequence) or isinstance(given, str):
        raise FilterError(IDS, "A selection is a list of ids, without filters.")
    if len(given) > SELECTION_LIMIT:
        raise FilterError(IDS, f"A selection has at most {SELECTION_LIMIT:,} ids; use a filter for more.")
    try:
        return {IDS: list(dict.fromkeys(str(uuid.UUID(str(one))) for one in given))}
    except ValueError:
        raise FilterError(IDS, "One of the ids is not the id of a delivery.") from None


def members_of(scope: Scope, store: Store) -> QuerySet[Delivery]:
    """The failing deliveries of the scope and store that could be sent, newest first. Raises FilterError."""
    rows = Delivery.objects.wanted().failing().filter(store=store).exclude(trigger=Delivery.Trigger.TEST)
    chosen = rows.filter(id__in=scope[IDS]) if IDS in scope else apply_filters(rows, {**scope, "store": str(store.pk)})
    return chosen.order_by("-id")


def read_members(rows: QuerySet[Delivery], limit: int = MEMBERS_LIMIT, start: int = 0) -> Iterator[Member]:
    """The members with their payloads, `CHUNK` at a time; each chunk is what the database holds at that moment."""
    ids = list(rows.values_list("id", flat=True)[start : start + limit])
    for at in range(0, len(ids), CHUNK):
        yield from _chunk(ids[at : at + CHUNK])


def _chunk(ids: list[uuid.UUID]) -> list[Member]:
    rows = Delivery.objects.filter(id__in=ids).values_list(
        "id", "event__object_type", "event__object_id", "event__topic", "event__data", "revision"
    )
    found = {row[0]: row for row in rows}
    edited = _edited({pk: row[5] for pk, row in found.items() if row[5]})
    numbers, waiting = latest_numbers(ids), awaiting_among(ids)
    return [
        Member(pk, row[1], row[2], row[3], edited.get(pk, row[4]), numbers.get(pk, 0), pk in waiting)
        for pk in ids
        if (row := found.get(pk)) is not None
    ]


def _edited(numbers: Mapping[uuid.UUID, int]) -> dict[uuid.UUID, dict[str, Any]]:
    if not numbers:
        return {}
    rows = Revision.objects.filter(delivery__in=list(numbers)).values_list("delivery_id", "number", "data")
    return {pk: data for pk, number, data in rows if numbers[pk] == number}
