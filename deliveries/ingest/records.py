"""Reading the records that pushed objects are merged into."""

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
    """The records that these objects are merged into, with their versions.

    `is_locked`: held until the transaction ends, in the order of `deliveries.storage.locks`; of what does not exist, an
    empty record of version 0 is made, which the same transaction must write or `forget_empty`.
    """
    wanted = {(item.type, item.external_id) for item in objects}
    if not wanted:
        return {}
    find = backend().locked_records if is_locked else backend().existing_records
    return find(store_id, wanted)


def delete_placeholders(store_id: uuid.UUID, keys: Collection[tuple[str, str]]) -> None:
    """Records that were locked before they existed, and are not written after all."""
    for kind, external_id in sorted(keys):
        Record.objects.filter(store_id=store_id, type=kind, external_id=external_id, version=0).delete()
