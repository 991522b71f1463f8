"""Which stores a member of staff sees: all of them if explicitly set (superusers always), else the assigned ones.

No assignment means no store. Otherwise anyone who may edit a store's list of staff could lift a restriction by
emptying the list.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from integrations.models import StaffProfile, Store

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_CACHE = "_hookdesk_stores"


def visible_store_ids(user: AbstractBaseUser | AnonymousUser) -> list[uuid.UUID] | None:
    """Return the ids of the stores this person sees (possibly none), or None for every store.

    Cached on the user object, which lives for one request.
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
