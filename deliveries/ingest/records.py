"""Read the records that pushed objects are merged into."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from deliveries.ingest.plan import PushedObject
from deliveries.models import Record
from deliveries.storage import backend
from deliveries.storage.rows.pushes import ExistingRecords


def known_records(
    store_id: uuid.UUID, objects: Collection[PushedObject], *, is_locked: bool = False
) -> ExistingRecords:
    """Return the existing records of these objects, with their versions.

    `is_locked`: lock them until the transaction ends, in the order of `deliveries.storage.locks`. For objects without
    a record, this creates placeholders of version 0, which the same transaction must write or delete
    (`delete_placeholders`).
    """
    wanted = {(item.type, item.external_id) for item in objects}
    if not wanted:
        return {}
    find = backend().locked_records if is_locked else backend().existing_records
    return find(store_id, wanted)


def delete_placeholders(store_id: uuid.UUID, keys: Collection[tuple[str, str]]) -> None:
    """Delete placeholders that were locked but not written."""
    for kind, external_id in sorted(keys):
        Record.objects.filter(store_id=store_id, type=kind, external_id=external_id, version=0).delete()
