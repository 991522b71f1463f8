"""Searches and views of lists that people keep: their own, and those that others share."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from deliveries.models import SavedView
from integrations.foundation.audit import Actor, record_change
from integrations.security.staff import visible_store_ids

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Page = SavedView.Page
#: Of one person on one page, and of all that others share there.
MOST: Final = 50
NAME_LIMIT: Final = 80
QUERY_LIMIT: Final = 2_000


class SavedViewError(ValueError):
    """It cannot be kept; the message says why."""


@dataclass(frozen=True, slots=True)
class Views:
    own: Sequence[SavedView]
    shared: Sequence[SavedView]


def views_for(user: AbstractBaseUser | AnonymousUser, page: str = Page.SEARCH) -> Views:
    """Their own of this page, and those of others which are shared with them."""
    own = list(SavedView.objects.filter(owner_id=user.pk, page=page)[:MOST])
    others = SavedView.objects.filter(is_shared=True, page=page).exclude(owner_id=user.pk).select_related("owner")
    seen = visible_store_ids(user)
    mine = None if seen is None else {str(pk) for pk in seen}
    return Views(own, [view for view in others[: 4 * MOST] if _is_shared_with(view, mine)][:MOST])


def _is_shared_with(view: SavedView, stores: set[str] | None) -> bool:
    return stores is None or view.stores is None or set(view.stores) <= stores


def save_view(
    *, owner: AbstractBaseUser | AnonymousUser, name: str, query: str, is_shared: bool, page: str = Page.SEARCH
) -> SavedView:
    """Keep a search or a view of a list, or replace the one of this name. Raises SavedViewError."""
    name = name.strip().replace("\0", "")
    if not name or len(name) > NAME_LIMIT:
        raise SavedViewError(_("Give it a name of 1 to %(most)s characters.") % {"most": NAME_LIMIT})
    if len(query) > QUERY_LIMIT:
        raise SavedViewError(_("This is too long to be kept."))
    stores = visible_store_ids(owner)
    values = {
        "page": page,
        "query": query.replace("\0", ""),
        "is_shared": is_shared,
        "stores": None if stores is None else sorted(map(str, stores)),
    }
    with transaction.atomic():
        mine = SavedView.objects.filter(owner_id=owner.pk)
        if elsewhere := mine.filter(name=name).exclude(page=page).first():
            words = _("You keep one of this name for %(page)s. Choose another name.")
            raise SavedViewError(words % {"page": elsewhere.get_page_display()})
        if mine.filter(~Q(name=name), page=page).count() >= MOST:
            raise SavedViewError(_("You keep %(number)s already. Delete one first.") % {"number": MOST})
        view, is_new = mine.update_or_create(owner_id=owner.pk, name=name, defaults=values)
        # Not the query: it may name a person.
        record_change(
            actor=Actor.of_user(owner), action="create" if is_new else "change", target=view, store=_one(stores),
            after={"name": name, "is_shared": is_shared},
        )  # fmt: skip
    return view


def delete_view(*, user: AbstractBaseUser | AnonymousUser, pk: int) -> SavedView | None:
    """One's own; superusers delete others' too. What was deleted; None: there is none."""
    rows = SavedView.objects.filter(pk=pk)
    if not getattr(user, "is_superuser", False):
        rows = rows.filter(owner_id=user.pk)
    with transaction.atomic():
        view = rows.first()
        if view is None:
            return None
        record_change(
            actor=Actor.of_user(user), action="delete", target=view, store=_one(visible_store_ids(user)),
            before={"name": view.name, "is_shared": view.is_shared},
        )  # fmt: skip
        view.delete()
    return view


def _one(stores: Sequence[uuid.UUID] | None) -> uuid.UUID | None:
    """The store of somebody who sees one only, so that its audit list has the entry."""
    return stores[0] if stores is not None and len(stores) == 1 else None
