"""Poison messages: deliveries whose workers died are retried in shrinking batches until the poison message is isolated.

When a worker dies, everything it had in flight becomes due again at the same moment. If all of it were sent together
again, innocent deliveries would look like poison too. So a delivery that has seen two crashes in a row is a suspect: it
is sent together with at most 63 other suspects, after another crash with 15, then 3, then none. A delivery that crashes
its worker alone is moved to failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import F

from deliveries.dispatch.types import ClaimedDelivery
from deliveries.models import Delivery
from integrations.wire_formats.base import Outcome

#: A delivery whose worker crashed this many times in a row is tried once more, alone.
MAX_CRASHES = 5
FIRST_SUSPECT = 2
#: When to retry a suspect that was held back.
RETRY_DELAY = timedelta(seconds=1)


def allowed_concurrency(crash_count: int) -> int:
    """Return how many suspects one process may have in flight if the worst of them has this crash count."""
    return int(4 ** max(0, MAX_CRASHES - crash_count))


def hold_back(
    claims: list[ClaimedDelivery], in_flight: Iterable[ClaimedDelivery], now: datetime
) -> list[ClaimedDelivery]:
    """Return the claims that may be sent and release the others. Call inside the claim's transaction."""
    suspects = [claimed for claimed in claims if FIRST_SUSPECT <= claimed.crash_count <= MAX_CRASHES]
    if not suspects:
        return claims
    suspects_in_flight = [claimed.crash_count for claimed in in_flight if claimed.crash_count >= FIRST_SUSPECT]
    held = set()
    for claimed in sorted(suspects, key=lambda suspect: -suspect.crash_count):
        worst = max([claimed.crash_count, *suspects_in_flight])
        if len(suspects_in_flight) < allowed_concurrency(worst):
            suspects_in_flight.append(claimed.crash_count)
        else:
            held.add(claimed.id)
            _release(claimed, now)
    return [claimed for claimed in claims if claimed.id not in held]


def _release(claimed: ClaimedDelivery, now: datetime) -> None:
    """Undo the claim; this attempt has not written anything yet. The crash count stays."""
    Delivery.objects.filter(id=claimed.id, lease=claimed.lease).update(
        status="retrying", lease=None, due_at=now + RETRY_DELAY, attempt_count=F("attempt_count") - 1
    )


def is_poison(claimed: ClaimedDelivery) -> bool:
    return claimed.crash_count > MAX_CRASHES


def dead_letter(claimed: ClaimedDelivery) -> Outcome:
    message = (
        f"Workers died {claimed.crash_count} times in a row while sending this. Moved to failed as a poison message. "
        "Fix the payload, then resend it."
    )
    return Outcome(is_success=False, kind="crash", message=message, is_permanent=True)
