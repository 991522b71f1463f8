"""Reservations on PostgreSQL. Prepared, because planning costs more than running: engines renew them all the time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from deliveries.storage.arrays import big_numbers_array, numbers_array
from deliveries.storage.columns import Selected
from deliveries.storage.rows.reservations import RESERVABLE, ReservableIntegration
from deliveries.storage.sql import execute_prepared

_RESERVABLE = Selected(ReservableIntegration, converted={"reserved_elsewhere": int})
_RESERVABLE_SQL = RESERVABLE.format(columns=_RESERVABLE.columns, among="= ANY(%s::bigint[])")
_REPLACE = """
WITH ended AS (
  DELETE FROM deliveries_reservation WHERE engine_id = %s AND integration_id <> ALL(%s::bigint[])
)
INSERT INTO deliveries_reservation (engine_id, integration_id, room, until)
SELECT %s::bigint, wanted.integration_id, wanted.room, %s::timestamptz
FROM unnest(%s::bigint[], %s::int[]) AS wanted(integration_id, room)
ON CONFLICT (integration_id, engine_id) DO UPDATE SET room = excluded.room, until = excluded.until
"""


class Reservations:
    def reservable(
        self, engine_id: int, host: str, integrations: Collection[int], now: datetime
    ) -> list[ReservableIntegration]:
        values = [now, now, now, engine_id, now, engine_id, host, big_numbers_array(integrations), now]
        return [_RESERVABLE.read(row) for row in execute_prepared(_RESERVABLE_SQL, values)]

    def replace_reservations(self, engine_id: int, rooms: Mapping[int, int], until: datetime) -> None:
        keys = big_numbers_array(rooms)
        execute_prepared(_REPLACE, [engine_id, keys, engine_id, until, keys, numbers_array(rooms.values())])
