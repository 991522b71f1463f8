"""Who else is in the wizard of a delivery. A hint and no lock: what counts is checked when something is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from deliveries.models import Delivery, WizardPresence

#: Who was seen within this time is taken to be there still.
PRESENT = timedelta(minutes=2)
#: Older visits are forgotten.
FORGET = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Visitor:
    name: str
    at: datetime


def visit(delivery: Delivery, user: User | AnonymousUser, now: datetime | None = None) -> list[Visitor]:
    """Note that `user` is looking at the delivery's wizard; the others who are, latest first."""
    if isinstance(user, AnonymousUser):  # nobody: the views let in staff only
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
