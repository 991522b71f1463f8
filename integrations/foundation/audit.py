"""Writes audit entries. Call it inside the transaction of the change, with credentials already masked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import models

from integrations.foundation.languages import english
from integrations.models import AuditEntry, Store
from integrations.security.tokens import Principal


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an action: a member of staff, or a program (`user` is None and `name` says which).

    `token_id` is the access token that a program used, if any.
    """

    user: User | None
    name: str
    token_id: uuid.UUID | None = None

    @classmethod
    def of_user(cls, user: AbstractBaseUser | AnonymousUser) -> Actor:
        """Return the actor for a user. Its type allows anonymous users because that of `request.user` does."""
        return cls(user, user.get_username())  # type: ignore[arg-type]  # the project's one user model

    @classmethod
    def of_principal(cls, principal: Principal) -> Actor:
        return cls(None, principal.label, principal.token_id)


#: Hookdesk itself: an engine that disables an integration, a sweep.
HOOKDESK = Actor(None, "Hookdesk")


def record_change(
    *,
    actor: Actor,
    action: str,
    target: models.Model,
    store: Store | uuid.UUID | None,
    name: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Write one entry about `target`; the arguments are those of `audit_entry`."""
    entry = audit_entry(
        actor=actor, action=action, target=target, store=store, name=name, before=before, after=after, reason=reason
    )
    entry.save(force_insert=True)
    return entry


def audit_entry(
    *,
    actor: Actor,
    action: str,
    target: models.Model,
    store: Store | uuid.UUID | None,
    name: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Return an unsaved entry, for callers that write many at once.

    `store` may be its id. `name` identifies the target for people, as the target may no longer exist when the entry is
    read.
    """
    return AuditEntry(
        store_id=store.pk if isinstance(store, Store) else store,
        user_id=actor.user.pk if actor.user is not None else None,
        actor=actor.name[:200],
        action=action,
        target_type=target._meta.model_name or "",
        target_id=str(target.pk),
        target_name=(name or _name_of(target))[:300],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        reason=reason,
    )


def _name_of(target: models.Model) -> str:
    with english():
        return str(target)
