"""Which stores a member of staff sees: all by explicit setting (superusers always), else those assigned to them.

The absence of assignments means no store. Otherwise anyone who may edit a list of staff could lift a limit by
emptying it.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from integrations.models import StaffProfile, Store

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_CACHE = "_hookdesk_stores"


def visible_store_ids(user: AbstractBaseUser | AnonymousUser) -> list[uuid.UUID] | None:
    """The stores to which this person is limited, possibly none at all; None: every store.

    Looked up once for each user object, which lives as long as one request.
    """
    if user.is_anonymous:
        return []
    if getattr(user, "is_superuser", False):
        return None
    if not hasattr(user, _CACHE):
        setattr(user, _CACHE, _looked_up(user))
    found: list[uuid.UUID] | None = getattr(user, _CACHE)
    return found


def _looked_up(user: AbstractBaseUser) -> list[uuid.UUID] | None:
    if StaffProfile.objects.filter(user_id=user.pk, sees_all_stores=True).exists():
        return None
    return list(Store.objects.filter(staff=user.pk).values_list("pk", flat=True))
