"""Deliveries whose workers died are tried again in ever smaller allowed_concurrency, until the killer is alone.

A worker that dies takes down all that it had in dispatch, and all of that comes due again at the same moment. Were
it sent together again, the innocent would be taken for killers as well. So a delivery that has seen two deaths in
a row may fly with at most 63 others of its kind, then 15, then 3, then none; one that kills its worker alone is
set aside.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Delivery
from integrations.wire_formats.base import Outcome

#: A delivery whose worker died so often in a row is tried once more, alone.
MOST_CRASHES = 5
FIRST_SUSPECT = 2
#: One for which there is no room now is looked at again after this.
PAUSE = timedelta(seconds=1)


def allowed_concurrency(crash_count: int) -> int:
    """How many suspects may be in dispatch in one process, if this is the worst of them."""
    return int(4 ** max(0, MOST_CRASHES - crash_count))


def hold_back(
    claims: list[ClaimedDelivery], in_flight: Iterable[ClaimedDelivery], now: datetime
) -> list[ClaimedDelivery]:
    """Those of the claims that may be sent; the others are given up again. Inside the claim's transaction."""
    suspects = [claimed for claimed in claims if FIRST_SUSPECT <= claimed.crash_count <= MOST_CRASHES]
    if not suspects:
        return claims
    flying = [claimed.crash_count for claimed in in_flight if claimed.crash_count >= FIRST_SUSPECT]
    held = set()
    for claimed in sorted(suspects, key=lambda suspect: -suspect.crash_count):
        worst = max([claimed.crash_count, *flying])
        if len(flying) < allowed_concurrency(worst):
            flying.append(claimed.crash_count)
        else:
            held.add(claimed.id)
            _put_back(claimed, now)
    return [claimed for claimed in claims if claimed.id not in held]


def _put_back(claimed: ClaimedDelivery, now: datetime) -> None:
    """As if it had not been claimed; nothing of this attempt was written. Its crashes stay counted."""
    Delivery.objects.filter(id=claimed.id, lease=claimed.lease).update(
        status="retrying", lease=None, due_at=now + PAUSE, attempt_count=F("attempt_count") - 1
    )


def is_poison(claimed: ClaimedDelivery) -> bool:
    return claimed.crash_count > MOST_CRASHES


def dead_letter(claimed: ClaimedDelivery) -> Outcome:
    message = (
        f"Workers died {claimed.crash_count} times in a row while sending this. It is set aside so that the queue "
        "moves on; look at the payload, then resend it."
    )
    return Outcome(is_success=False, kind="crash", message=message, is_permanent=True)
