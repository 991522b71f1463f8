"""Whether people can log in as the settings say; part of `manage.py doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, User

from config.accounts.group_roles import parse_roles
from config.accounts.people import wrong_rules
from config.accounts.second_factor import required_roles
from config.observability.finding import Finding

_OIDC = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES")


def examine_login() -> Iterator[Finding]:
    found = [*_single_sign_on(), *_passwords(), *_second_factor()]
    yield from found
    if not found:
        ways = [name for name, is_on in (("password", settings.LOGIN_PASSWORDS),
                                         ("single sign-on", bool(settings.OIDC_ISSUER))) if is_on]  # fmt: skip
        yield Finding("login", "ok", f"Staff log in by {' and '.join(ways)}.")


def _single_sign_on() -> Iterator[Finding]:
    missing = [name for name in _OIDC if not getattr(settings, name)]
    if len(missing) == len(_OIDC):
        return
    if missing:
        yield Finding("login", "problem", f"Single sign-on is half set up: {', '.join(missing)} not set.",
                      "Set all of them, or none: docs/operations/login.md.")  # fmt: skip
        if not settings.OIDC_ROLES:
            return
    issuer = urlsplit(settings.OIDC_ISSUER)
    if settings.OIDC_ISSUER and issuer.scheme != "https" and issuer.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield Finding("login", "problem", "OIDC_ISSUER is not https://: anybody on the way could log in as anybody.",
                      "Use the server's https:// address.")  # fmt: skip
    try:
        wrong = wrong_rules(parse_roles(settings.OIDC_ROLES))
    except ValueError as error:
        wrong = [str(error)]
    for sentence in wrong:
        yield Finding("login", "problem", sentence, "Whoever has such a group cannot log in until it is corrected.")


def _passwords() -> Iterator[Finding]:
    if settings.LOGIN_PASSWORDS:
        return
    if not settings.OIDC_ISSUER:
        yield Finding("login", "problem", "LOGIN_PASSWORDS is off without single sign-on: only passkeys are left.",
                      "Set OIDC_ISSUER and the others, or LOGIN_PASSWORDS=on.")  # fmt: skip
    elif not User.objects.filter(is_superuser=True, is_active=True,
                                 pk__in=SocialAccount.objects.values("user_id")).exists():  # fmt: skip
        yield Finding("login", "warning", "LOGIN_PASSWORDS is off, and no superuser has connected single sign-on.",
                      "Set LOGIN_PASSWORDS=on, log in as superuser, connect it under Login and security.")  # fmt: skip


def _second_factor() -> Iterator[Finding]:
    known = {name.casefold() for name in Group.objects.values_list("name", flat=True)}
    if unknown := sorted(required_roles() - known):
        yield Finding("login", "problem", f"REQUIRE_SECOND_FACTOR names no role: {', '.join(unknown)}.",
                      "Write the roles as on the page Roles: Manager,Operator.")  # fmt: skip
