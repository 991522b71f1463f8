"""Release deliveries that were born claimed but cannot be handed over because their engine is gone."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.utils import timezone

from deliveries.models import Delivery
from deliveries.runtime.notify import wake


def release(*, ids: Collection[uuid.UUID], lease: uuid.UUID) -> None:
    """Make the deliveries due for any engine. No engine has seen them, so the attempt does not count."""
    Delivery.objects.filter(id__in=ids, lease=lease, status=Delivery.Status.SENDING).update(
        status=Delivery.Status.PENDING, due_at=timezone.now(), lease=None, attempt_count=0, first_sent_at=None
    )
    wake()
