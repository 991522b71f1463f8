"""Querysets limited to the stores that a member of staff sees: see `integrations.security.staff`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from django.db.models import Model, QuerySet

from integrations.models import Store
from integrations.security.staff import visible_store_ids

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Row = TypeVar("Row", bound=Model)


def sees_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    return visible_store_ids(user) is None


def stores_for(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Store]:
    return visible_to(Store.objects.all(), user, path="pk")


def visible_to(queryset: QuerySet[Row], user: AbstractBaseUser | AnonymousUser, path: str = "store") -> QuerySet[Row]:
    """What `user` may see of `queryset`; `path` is the lookup from its rows to their store (`delivery__store`)."""
    stores = visible_store_ids(user)
    return queryset if stores is None else queryset.filter(**{f"{path}__in": stores})
