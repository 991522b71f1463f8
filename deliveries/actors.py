"""Who does something to deliveries: a member of staff, or a program with an access token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.access import Principal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, User


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is how history and notifications call them; `user` is None for programs."""

    user: User | None
    name: str

    @classmethod
    def of_user(cls, user: AbstractBaseUser) -> Actor:
        return cls(user, user.get_username())  # type: ignore[arg-type]

    @classmethod
    def of_principal(cls, principal: Principal) -> Actor:
        return cls(None, principal.label)
