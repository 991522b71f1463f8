"""Reading the records that pushed objects are merged into."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db import connection

from deliveries.ingest.one_statement import existing_records
from deliveries.ingest.plan import ExistingRecords, PushedObject
from deliveries.models import Record
from deliveries.storage.arrays import texts_array
from deliveries.storage.sql import execute_prepared

# Those that do not exist are inserted as version 0: new and existing ones must be locked in one order.
_LOCK = (
    "INSERT INTO deliveries_record (store_id, type, external_id, data, version, created_at, updated_at)"
    " SELECT %s, p.type, p.external_id, '{}', 0, now(), now()"
    " FROM unnest(%s::text[], %s::text[]) AS p(type, external_id)"
    " ON CONFLICT (store_id, type, external_id) DO UPDATE SET version = deliveries_record.version"
    " RETURNING type, external_id, version, data"
)


def known_records(
    store_id: uuid.UUID, objects: Collection[PushedObject], *, is_locked: bool = False
) -> ExistingRecords:
    """The records that these objects are merged into, with their versions.

    `is_locked`: held until the transaction ends, in the order of `deliveries.storage.locks`; of what does not exist, an
    empty record of version 0 is made, which the same transaction must write or `forget_empty`.
    """
    wanted = {(item.type, item.external_id) for item in objects}
    if not wanted:
        return {}
    if connection.vendor == "postgresql":
        return _lock(store_id, wanted) if is_locked else existing_records(store_id, wanted)
    rows: Sequence[Any] = []
    for kind in {key[0] for key in wanted}:
        of_kind = [key[1] for key in wanted if key[0] == kind]
        for start in range(0, len(of_kind), 500):
            chunk = of_kind[start : start + 500]
            found = Record.objects.filter(store_id=store_id, type=kind, external_id__in=chunk)
            rows = [*rows, *found.values_list("type", "external_id", "version", "data")]
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def forget_empty(store_id: uuid.UUID, keys: Collection[tuple[str, str]]) -> None:
    """Records that were locked before they existed, and are not written after all."""
    for kind, external_id in sorted(keys):
        Record.objects.filter(store_id=store_id, type=kind, external_id=external_id, version=0).delete()


def _lock(store_id: uuid.UUID, wanted: Collection[tuple[str, str]]) -> ExistingRecords:
    types, ids = zip(*sorted(wanted), strict=True)
    rows = execute_prepared(_LOCK, [store_id, texts_array(types), texts_array(ids)])
    return {(row[0], row[1]): (row[2], json.loads(row[3])) for row in rows if row[2]}
