"""Which stores a member of staff sees: those that they are assigned to; all, if to none, or if they are superusers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model, QuerySet

from integrations.models import Store

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Row = TypeVar("Row", bound=Model)
_CACHE = "_hookdesk_stores"


def _assigned(user: AbstractBaseUser | AnonymousUser) -> list[Any]:
    """Empty: not limited. Looked up once for each user object, which lives as long as one request."""
    if getattr(user, "is_superuser", False) or not user.is_authenticated:
        return []
    stores: list[Any] | None = getattr(user, _CACHE, None)
    if stores is None:
        stores = list(Store.objects.filter(staff=user.pk).values_list("pk", flat=True))
        setattr(user, _CACHE, stores)
    return stores


def store_scope(user: AbstractBaseUser | AnonymousUser) -> list[Any] | None:
    """The keys of the stores that `user` is limited to; None: of no store in particular, which needs no filter."""
    return _assigned(user) or None


def sees_all(user: AbstractBaseUser | AnonymousUser) -> bool:
    return user.is_authenticated and not _assigned(user)


def stores_for(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Store]:
    return visible(Store.objects.all(), user, path="pk")


def visible(queryset: QuerySet[Row], user: AbstractBaseUser | AnonymousUser, path: str = "store") -> QuerySet[Row]:
    """What `user` may see of `queryset`; `path` leads from its rows to their store (`delivery__store`)."""
    if not user.is_authenticated:
        return queryset.none()
    stores = _assigned(user)
    return queryset.filter(**{f"{path}__in": stores}) if stores else queryset
