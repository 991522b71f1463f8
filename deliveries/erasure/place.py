"""What a place is: where payloads are kept, how they are looked for there, and how they are erased."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import BinaryField, BooleanField, JSONField, Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from deliveries.erasure.matching import Sought
from deliveries.storage import backend
from integrations.foundation.document_field import DocumentField

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: Rows looked at at a time.
CHUNK = 20_000


@dataclass(frozen=True)
class Found:
    """Rows of a place that hold the value, to be erased in the transaction that is open."""

    place: Place
    store_id: uuid.UUID
    sought: Sought
    rows: Sequence[Any]
    now: datetime

    @property
    def keys(self) -> list[Any]:
        return [row.pk for row in self.rows]

    def among(self, keys: Collection[Any]) -> Found:
        return replace(self, rows=[row for row in self.rows if row.pk in keys])


@dataclass
class Done:
    """How many rows were erased, by place; and how many are in use and must be tried again."""

    erased: Counter[str] = field(default_factory=Counter)
    postponed: int = 0


@dataclass(frozen=True)
class Place:
    """A table with payloads. `store` is the lookup from its rows to their store; empty: `holds` looks for itself.

    `fields` are searched, `extra` are loaded with them. `opaque`: rows that the database cannot search, because they
    are encrypted or packed. `holds` decides instead of the fields' own comparison. Without `erase`, it is
    configuration: what is found is reported, and staff change it.
    """

    name: str
    label: StrOrPromise
    model: type[Model]
    fields: tuple[str, ...]
    erase: Callable[[Found], Done] | None
    store: str = "store"
    extra: tuple[str, ...] = ()
    opaque: Q | None = None
    holds: Callable[[Sought, Any, uuid.UUID], bool] | None = None
    #: Whether an index leads from a store to its rows in the order of their keys.
    is_by_store: bool = False

    @property
    def is_reported(self) -> bool:
        return self.erase is None

    def of_store(self, store_id: uuid.UUID) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._base_manager.all()
        return rows.filter(**{self.store: store_id}) if self.store else rows

    def cursor_of(self, text: str) -> Any:
        return self.model._meta.pk.to_python(text)

    def condition(self, sought: Sought) -> Q:
        """True for all rows that may hold the value, and for some others."""
        parts, parameters = [], []
        table = connection.ops.quote_name(self.model._meta.db_table)
        for name in self.fields:
            of = self.model._meta.get_field(name)
            column = f"{table}.{connection.ops.quote_name(str(getattr(of, 'column', name)))}"
            look = backend().holds_bytes if isinstance(of, BinaryField) else backend().holds_text
            for spelling in sought.spellings:
                sql, parameter = look(column, spelling)
                parts.append(sql)
                parameters.append(parameter)
        # A column that is null holds nothing. The text names our own columns only; values are parameters.
        sql = f"COALESCE({' OR '.join(parts)}, FALSE)"
        found = Q(RawSQL(sql, parameters, output_field=BooleanField()))  # noqa: S611
        return found if self.opaque is None else found | self.opaque

    def is_held_by(self, row: Any, sought: Sought, store_id: uuid.UUID) -> bool:
        if self.holds is not None:
            return self.holds(sought, row, store_id)
        return any(holds_value(sought, row, name) for name in self.fields)


def holds_value(sought: Sought, row: Any, name: str) -> bool:
    value = getattr(row, name)
    if value is None or value == "":
        return False
    if isinstance(row._meta.get_field(name), DocumentField | JSONField):
        return sought.is_in_document(value)
    return sought.is_in_text(value) if isinstance(value, str) else sought.is_in_body(bytes(value))


@dataclass(frozen=True)
class Chunk:
    """Rows that hold the value. `cursor`: the last row looked at; None: there are no more. `looked_at`: rows."""

    rows: list[Any]
    cursor: Any
    looked_at: int


def look(place: Place, store_id: uuid.UUID, sought: Sought, cursor: Any, *, most: int | None = None) -> Chunk:
    """The next rows after `cursor` (None: the first), in the order of their keys.

    Ends early once `most` were found: the cursor is the last of these then.
    """
    mine = place.of_store(store_id)
    walked: QuerySet[Any] = mine if place.is_by_store else place.model._base_manager.all()
    if cursor is not None:
        mine, walked = mine.filter(pk__gt=cursor), walked.filter(pk__gt=cursor)
    walked = walked.order_by("pk").values_list("pk", flat=True)
    bound = next(iter(walked[CHUNK - 1 : CHUNK]), None)
    candidates = mine.filter(place.condition(sought)).order_by("pk")
    if bound is not None:
        candidates = candidates.filter(pk__lte=bound)
    rows: list[Any] = []
    for row in candidates.only(*place.fields, *place.extra).iterator(chunk_size=100):
        if not place.is_held_by(row, sought, store_id):
            continue
        rows.append(row)
        if len(rows) == most:
            return Chunk(rows, row.pk, walked.filter(pk__lte=row.pk).count())
    return Chunk(rows, bound, walked.count() if bound is None else CHUNK)
