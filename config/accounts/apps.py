"""Apps of django-allauth, without their middleware.

allauth insists on a middleware for every request; it would run for each push. `config.accounts.views.in_account_pages`
does what it does, for the pages that need it.
"""

from __future__ import annotations

from allauth.account.apps import AccountConfig as AllauthAccountConfig
from allauth.usersessions.apps import UserSessionsConfig as AllauthUserSessionsConfig


class AccountConfig(AllauthAccountConfig):  # type: ignore[misc]  # no types
    def ready(self) -> None:
        from allauth.account import checks  # noqa: F401  # registers allauth's system checks


class UserSessionsConfig(AllauthUserSessionsConfig):  # type: ignore[misc]  # no types
    def ready(self) -> None:
        """Its receivers read all sessions of a person, one by one; `config.accounts.sessions` keeps the rows."""
