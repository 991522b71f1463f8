"""Lists as files, for the desk and the API: CSV for spreadsheets, NDJSON for programs.

Rows are read page by page in the order of a key, and written as they are read: a million rows take no more memory than
a hundred, hold no transaction open, and nobody waits for them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Model, Prefetch, Q, QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Store
from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField

PERMISSION = "integrations.export_lists"
#: Rows read at a time: payloads may be large.
PAGE: Final = 200
#: Characters with which spreadsheets begin a formula, and their wide forms.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A name in the file, and a dotted path from the row to the value.
Columns = Sequence[tuple[str, str]]


def columns(*names: str) -> Columns:
    """`"id:public_id"` is a column `id` with the row's `public_id`; `"status"` is both."""
    return [(name.partition(":")[0], name.partition(":")[2] or name) for name in names]


@dataclass(frozen=True, slots=True)
class ExportedList:
    """What a file of a list is called and has, and the field by which its rows sort, never null."""

    title: str
    columns: Columns
    order: str = "pk"


def exported(
    wanted: ExportedList,
    *,
    rows: QuerySet[Any],
    kind: str,
    filters: Mapping[str, Sequence[str]],
    actor: Actor,
    store: Store | None = None,
) -> StreamingHttpResponse:
    """The rows as a file, with an audit entry that has the filters at once and the count when it has ended.

    `filters` are those that chose the rows, as a query string has them; `store` is the one that it is about.
    """
    entry = _begin_entry(wanted.title, rows.model, kind, filters, actor, store)
    count = _Count(entry)
    written = _FORMATS[kind](wanted.columns, count.of(_all(rows, wanted.columns, wanted.order)))
    response = StreamingHttpResponse(written, content_type=_TYPES[kind])
    stamp = timezone.now().strftime("%Y-%m-%d-%H%M")
    file_name = f"hookdesk-{wanted.title.lower().replace(' ', '-')}-{stamp}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    response["Cache-Control"] = "no-store"
    return response


class _Count:
    """Counts what passes, and completes the audit entry, also where the client has gone away in the middle."""

    def __init__(self, entry: AuditEntry) -> None:
        self._entry = entry

    def of(self, rows: Iterable[Any]) -> Iterator[Any]:
        number, is_whole = 0, False
        try:
            for row in rows:
                yield row
                number += 1
            is_whole = True
        finally:
            after = {**self._entry.after, "rows": number, "complete": is_whole}
            AuditEntry.objects.filter(pk=self._entry.pk).update(after=after)


def _begin_entry(
    title: str,
    model: type[Model],
    kind: str,
    filters: Mapping[str, Sequence[str]],
    actor: Actor,
    store: Store | None,
) -> AuditEntry:
    given = {key: ", ".join(values)[:500] for key, values in filters.items()}
    return AuditEntry.objects.create(
        store=store,
        user=actor.user,
        actor=actor.name[:200],
        action="export",
        target_type=model._meta.model_name or "",
        target_id="list",
        target_name=title,
        after={"format": kind, "filter": given},
    )


# --- rows ------------------------------------------------------------------------------------------------------------


def _all(rows: QuerySet[Any], wanted: Columns, order: str) -> Iterator[Any]:
    """Newest first: by `order`, a field that is never null, and the key."""
    rows = _with_columns(rows, wanted).order_by(f"-{order}", "-pk")
    page = list(rows[:PAGE])
    while page:
        yield from page
        if len(page) < PAGE:
            return
        value, key = getattr(page[-1], order), page[-1].pk
        later = Q(pk__lt=key) if order == "pk" else Q(**{f"{order}__lt": value}) | Q(**{order: value}, pk__lt=key)
        page = list(rows.filter(later)[:PAGE])


def _with_columns(rows: QuerySet[Any], wanted: Columns) -> QuerySet[Any]:
    """With the rows that columns lead to, and without credentials, which must not be needed to make a list.

    Fetched for each page instead of joined: a page's rows mostly share their store and integration.
    """
    chosen = rows.select_related(None).prefetch_related(None).defer(None).defer(*_credentials(rows.model))
    for path in sorted({path.rpartition(".")[0] for _, path in wanted if "." in path}):
        of: Any = rows.model
        for step in path.split("."):
            of = of._meta.get_field(step).related_model
        related = of._base_manager.defer(*_credentials(of))
        chosen = chosen.prefetch_related(Prefetch(path.replace(".", "__"), related))
    return chosen


def _credentials(model: type[Model]) -> list[str]:
    is_encrypted = (EncryptedTextField, EncryptedJSONField)
    return [each.name for each in model._meta.concrete_fields if isinstance(each, is_encrypted)]


def _value(row: Any, path: str) -> Any:
    for step in path.split("."):
        row = getattr(row, step, None)
        if row is None:
            return None
    if isinstance(row, datetime):
        return row.isoformat().replace("+00:00", "Z")
    if isinstance(row, bytes | memoryview):
        return bytes(row).decode(errors="replace")
    return row if isinstance(row, str | int | float | bool | dict | list) else str(row)


# --- files -----------------------------------------------------------------------------------------------------------


class _Line:
    """What csv writes to: hands each line back."""

    def write(self, text: str) -> str:
        return text


def _csv(wanted: Columns, rows: Iterable[Any]) -> Iterator[str]:
    write = csv.writer(_Line()).writerow
    # Excel takes a file for UTF-8 by this mark only.
    yield "\ufeff" + write([name for name, _ in wanted])
    for row in rows:
        yield write([harmless(_value(row, path)) for _, path in wanted])


def _ndjson(wanted: Columns, rows: Iterable[Any]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({name: _value(row, path) for name, path in wanted}, ensure_ascii=False) + "\n"


def harmless(value: Any) -> Any:
    """The value as a cell. A text that a spreadsheet would take for a formula gets an apostrophe, which it hides."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA) else text


_FORMATS: Final[Mapping[str, Callable[[Columns, Iterable[Any]], Iterator[str]]]] = {"csv": _csv, "ndjson": _ndjson}
_TYPES: Final = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson; charset=utf-8"}
KINDS: Final = tuple(_FORMATS)
