"""The people to whom a case may be assigned."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

_BACKEND = "django.contrib.auth.backends.ModelBackend"
#: The permission that an assignee needs: to see cases.
SEES_CASES = "deliveries.view_failuregroup"
#: The permission to repair an integration, which a Manager has and an Operator lacks.
REPAIRS = "integrations.change_integration"


def staff_of(store_id: uuid.UUID, permission: str = SEES_CASES) -> QuerySet[User]:
    """Return active staff who can see this store and have the permission, sorted by name."""
    people = User.objects.with_perm(permission, backend=_BACKEND).filter(is_staff=True, is_active=True)
    sees_it = Q(is_superuser=True) | Q(staff_profile__sees_all_stores=True) | Q(stores=store_id)
    return people.filter(sees_it).distinct().order_by("username")


def managers_of(store_id: uuid.UUID) -> QuerySet[User]:
    """Return the staff who may repair integrations of this store."""
    return staff_of(store_id, REPAIRS)
