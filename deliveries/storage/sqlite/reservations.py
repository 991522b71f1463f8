"""Reservations on SQLite."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from deliveries.storage.columns import Selected
from deliveries.storage.rows.reservations import RESERVABLE, ReservableIntegration
from deliveries.storage.sqlite.values import as_time

_RESERVABLE = Selected(ReservableIntegration, converted={bool: bool})
_RENEW = (
    "INSERT INTO deliveries_reservation (engine_id, integration_id, room, until) VALUES (%s, %s, %s, %s)"
    " ON CONFLICT (integration_id, engine_id) DO UPDATE SET room = excluded.room, until = excluded.until"
)


class Reservations:
    def reservable(
        self, engine_id: int, host: str, integrations: Collection[int], now: datetime
    ) -> list[ReservableIntegration]:
        moment = as_time(now)
        query = RESERVABLE.format(columns=_RESERVABLE.columns, among=_among(integrations))
        values: list[Any] = [moment, moment, moment, engine_id, moment, engine_id, host, *integrations, moment]
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            return [_RESERVABLE.read(row) for row in cursor.fetchall()]

    def replace_reservations(self, engine_id: int, rooms: Mapping[int, int], until: datetime) -> None:
        with connection.cursor() as cursor:
            ended = f"DELETE FROM deliveries_reservation WHERE engine_id = %s AND integration_id NOT {_among(rooms)}"
            cursor.execute(ended, [engine_id, *rooms])
            moment = as_time(until)
            cursor.executemany(_RENEW, [(engine_id, key, room, moment) for key, room in rooms.items()])


def _among(keys: Collection[int]) -> str:
    return f"IN ({', '.join(['%s'] * len(keys))})"
