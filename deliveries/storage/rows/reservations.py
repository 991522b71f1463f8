"""Rows that a reservation of capacity reads (`dispatch.reservations`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from deliveries.storage.rows.claims import BORN_CLAIMED, IN_FLIGHT

_OTHERS = (
    "FROM deliveries_reservation r JOIN deliveries_engine e ON e.id = r.engine_id"
    " WHERE r.integration_id = i.id AND r.until > %s AND r.engine_id <> %s"
)


@dataclass(slots=True)
class ReservableIntegration:
    """An integration at which capacity may be reserved: enabled, healthy, without a rate limit.

    The SQL refers to `RESERVABLE`. `reserved_elsewhere`: capacity that other engines have reserved; `is_reserved_here`:
    whether one of them is on the same host. `timeout`: seconds.
    """

    integration_id: Annotated[int, "i.id"]
    max_in_flight: Annotated[int, "i.max_in_flight"]
    timeout: Annotated[float, "i.timeout"]
    config_version: Annotated[int, "coalesce((SELECT version FROM integrations_configclock WHERE id = 1), 0)"]
    in_flight: Annotated[int, f"({IN_FLIGHT})"]
    born_in_flight: Annotated[int, f"({IN_FLIGHT} AND {BORN_CLAIMED})"]
    reserved_elsewhere: Annotated[int, f"(SELECT coalesce(sum(r.room), 0) {_OTHERS})"]
    is_reserved_here: Annotated[bool, f"EXISTS (SELECT 1 {_OTHERS} AND e.host = %s)"]


#: `among` is a condition that chooses integrations, such as `IN (…)`.
RESERVABLE = """
SELECT {columns}
FROM integrations_integration i LEFT JOIN integrations_integrationhealth h ON h.integration_id = i.id
WHERE i.id {among} AND i.is_enabled AND i.deleted_at IS NULL AND i.rate_limit IS NULL
  AND (h.breaker IS NULL OR h.breaker = 'closed') AND (h.throttled_until IS NULL OR h.throttled_until <= %s)
"""
