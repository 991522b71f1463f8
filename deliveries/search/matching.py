"""Which documents have all words: by the index, or by looking through the newest ones."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Final

from django.db.models import Q, QuerySet, TextField, Value
from django.db.models.functions import Concat, StrIndex
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext_lazy

from deliveries.models import DeliveryDocument, EventDocument, RecordDocument, SearchPurge
from deliveries.search.documents import first_document_id
from deliveries.search.words import Option, Word
from deliveries.storage import backend
from deliveries.storage.rows.search import TookTooLong

#: Matches are counted up to here.
MOST: Final = 10_000
#: If there are more, so many of the newest are listed.
LISTED: Final = 1_000
#: The newest documents, which are always looked through; if this part of them match, so do more than MOST of many.
NEWEST: Final = 2_000
DENSE: Final = 0.05
#: How many are looked through at most without the index, and seconds for that.
WALKED: Final = 200_000
WALK_SECONDS: Final = 0.1
#: Seconds for the index.
INDEX_SECONDS: Final = 1.5

TOO_SHORT: Final = gettext_lazy(
    "Only the newest were looked through: the index needs three letters or digits that stand together."
)
TOO_SLOW: Final = gettext_lazy(
    "Only the newest were looked through: more took too long. Add a word, or shorten the period."
)

Documents = type[EventDocument] | type[DeliveryDocument] | type[RecordDocument]
_KEYS: Final[dict[Documents, str]] = {EventDocument: "event", DeliveryDocument: "delivery", RecordDocument: "record"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Where is looked. `stores`: None for all. `until` is exclusive. `topic`: exact, or `shipment.*`."""

    stores: Collection[uuid.UUID] | None
    since: datetime | None = None
    until: datetime | None = None
    topic: str = ""

    def rows(self, model: Documents) -> QuerySet[Any]:
        rows: QuerySet[Any] = model._default_manager.all()
        if self.stores is not None:
            ids = list(self.stores)
            rows = rows.filter(store_id=ids[0]) if len(ids) == 1 else rows.filter(store_id__in=ids)
        if self.since is not None:
            rows = rows.filter(id__gte=first_document_id(self.since))
        if self.until is not None:
            rows = rows.filter(id__lt=first_document_id(self.until))
        if self.topic:
            rows = _about(rows, self.topic, is_record=model is RecordDocument)
        for purge in SearchPurge.objects.all()[:100]:  # switched off, and not deleted yet
            named = purge.topic.split(".", 1)[0] if model is RecordDocument else purge.topic
            rows = rows.exclude(store_id=purge.store_id, topic=named)
        return rows


@dataclass(slots=True)
class Found:
    """`keys` of events, deliveries or records, the newest first. `is_all`: no others match. `number`: how many were
    counted, MOST at most. `note`: why these are not all, if it is not for their number.
    """

    keys: list[Any] = field(default_factory=list)
    number: int = 0
    is_all: bool = True
    note: str = ""


def _about(rows: QuerySet[Any], topic: str, *, is_record: bool) -> QuerySet[Any]:
    if is_record:
        return rows.filter(topic=topic.split(".", 1)[0])
    return rows.filter(topic__startswith=topic[:-1]) if topic.endswith(".*") else rows.filter(topic=topic)


def documents_with(model: Documents, words: Sequence[Word], scope: Scope) -> Found:
    """Those that have all words: all of them, or the newest if there are more than MOST."""
    rows = scope.rows(model)
    reason = backend().missing_text_index(model._meta.db_table)
    walk = _Walk(model, rows, words)
    if reason or not any(word.is_indexed for word in words):
        return walk.result(reason or str(TOO_SHORT))
    if walk.is_dense():
        return walk.result()
    if walk.is_at_end:
        return walk.result()
    try:
        keys = _by_index(model, rows, words)
    except TookTooLong:
        return walk.result(str(TOO_SLOW))
    if len(keys) <= MOST:
        return Found(keys, len(keys))
    return Found(keys[:LISTED], MOST, is_all=False)


def _by_index(model: Documents, rows: QuerySet[Any], words: Sequence[Word]) -> list[Any]:
    """Keys of the newest, MOST + 1 at most. Raises TookTooLong."""
    needed = [[option.looked_up for option in word.options] for word in words if word.is_indexed]
    matching = _matching(rows, words, is_indexed=True).values_list("id", _KEYS[model])
    with backend().time_limit(INDEX_SECONDS):
        return [key for _, key in backend().indexed_rows(matching, needed, MOST + 1)]


class _Walk:
    """Looks through documents from the newest to the oldest, without the index."""

    def __init__(self, model: Documents, rows: QuerySet[Any], words: Sequence[Word]) -> None:
        self._key, self._rows = _KEYS[model], rows
        self._matching = _matching(rows, words, is_indexed=False)
        self._before: int | None = None
        self._size = NEWEST
        self._keys: list[Any] = []
        self._number = self._looked_at = 0
        self.is_at_end = False

    def is_dense(self) -> bool:
        """Whether so many of the newest match that the index would be slower."""
        self._step()
        return not self.is_at_end and self._number >= NEWEST * DENSE

    def result(self, note: str = "") -> Found:
        """Go on for a while. `note`: what to say if that was not everything."""
        end = time.monotonic() + WALK_SECONDS
        try:
            with backend().time_limit(INDEX_SECONDS):
                while not self.is_at_end and self._number <= MOST and self._looked_at < WALKED:
                    if self._looked_at and time.monotonic() > end:
                        break
                    self._step()
        except TookTooLong:
            pass
        if self.is_at_end and self._number <= MOST:
            if self._number > LISTED:
                self._keys = list(self._matching.order_by("-id").values_list(self._key, flat=True)[:MOST])
            return Found(self._keys, len(self._keys))
        has_many = self._number > MOST
        return Found(self._keys[:LISTED], min(self._number, MOST), is_all=False, note="" if has_many else note)

    def _step(self) -> None:
        def older(rows: QuerySet[Any]) -> QuerySet[Any]:
            return rows if self._before is None else rows.filter(id__lt=self._before)

        ids = older(self._rows).order_by("-id").values_list("id", flat=True)
        last = list(ids[self._size - 1 : self._size])
        matching = older(self._matching)
        if last:
            matching = matching.filter(id__gte=last[0])
            self._before = last[0]
        self.is_at_end = not last
        self._looked_at += self._size
        found = list(matching.order_by("-id").values_list(self._key, flat=True)[: LISTED + 1 - len(self._keys)])
        self._keys += found
        self._number += len(found) if len(self._keys) <= LISTED else matching.count()
        self._size = min(self._size * 2, 4 * NEWEST)


def _matching(rows: QuerySet[Any], words: Sequence[Word], *, is_indexed: bool) -> QuerySet[Any]:
    """Those that have all words; not `is_indexed`: asked so that the index is not used."""
    rows = rows.annotate(plain=Concat("text", Value("", output_field=TextField())))
    return rows.filter(*(_any_of(word.options, is_indexed=is_indexed and word.is_indexed) for word in words))


def _any_of(options: Sequence[Option], *, is_indexed: bool) -> Q:
    looked_up = [option.looked_up if is_indexed else () for option in options]
    if len(set(looked_up)) == 1:  # asked once for all of them
        return _contains(looked_up[0]) & _or(_exactly(option, looked_up[0]) for option in options)
    return _or(_contains(known) & _exactly(option, known) for option, known in zip(options, looked_up, strict=True))


def _or(conditions: Iterable[Q]) -> Q:
    return reduce(Q.__or__, conditions)


def _contains(parts: Sequence[str]) -> Q:
    return Q(*(Q(text__contains=part) for part in parts))


def _exactly(option: Option, known: Sequence[str]) -> Q:
    """What is left of the option if it is known to have these parts."""
    left = [_has(part) for part in option.parts if part not in known]
    return Q(*left, Q(plain__regex=option.pattern)) if option.pattern else Q(*left)


def _has(part: str) -> Q:
    """A condition for which no index is used."""
    return Q(GreaterThan(StrIndex("text", Value(part)), Value(0)))
