"""Who else is in a delivery's wizard. A hint, not a lock: conflicts are checked when something is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from deliveries.models import Delivery, WizardPresence

#: People seen within this time count as present.
PRESENT = timedelta(minutes=2)
#: Older rows are deleted.
FORGET = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Visitor:
    name: str
    at: datetime


def visit(delivery: Delivery, user: User | AnonymousUser, now: datetime | None = None) -> list[Visitor]:
    """Record that `user` is in the delivery's wizard; returns the others, latest first."""
    if isinstance(user, AnonymousUser):  # cannot happen: the views admit staff only
        return []
    now = now or timezone.now()
    WizardPresence.objects.bulk_create(
        [WizardPresence(delivery=delivery, user=user, at=now)],
        update_conflicts=True,
        unique_fields=["delivery", "user"],
        update_fields=["at"],
    )
    WizardPresence.objects.filter(at__lt=now - FORGET).delete()
    others = (
        WizardPresence.objects.filter(delivery=delivery, at__gte=now - PRESENT)
        .exclude(user=user)
        .select_related("user")
        .order_by("-at")
    )
    return [Visitor(other.user.get_username(), other.at) for other in others]
