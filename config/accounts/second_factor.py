"""Who needs a second factor, who has one, and whether this session has passed it.

A second factor is an authenticator app, a passkey, or what the single sign-on server says it asked for (`mfa` in
`amr`). Recovery codes stand in for one, but are none by themselves.
"""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from config.accounts.sessions import end_sessions
from integrations.foundation.audit import Actor, record_change

FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
METHOD = "mfa"


def is_required_of(user: Any) -> bool:
    """Superusers hold every role, so any role in REQUIRE_SECOND_FACTOR is theirs too."""
    roles = required_roles()
    if not roles:
        return False
    return bool(user.is_superuser) or any(
        name.casefold() in roles for name in user.groups.values_list("name", flat=True)
    )


def required_roles() -> set[str]:
    return {name.strip().casefold() for name in settings.REQUIRE_SECOND_FACTOR if name.strip()}


def has_factor(user: Any) -> bool:
    return bool(Authenticator.objects.filter(user=user, type__in=FACTORS).exists())


def is_passed(request: HttpRequest) -> bool:
    """Has this session passed a second factor? Reads the session only."""
    records = get_authentication_records(request, request.user)
    return any(record.get("method") == METHOD for record in records)


def mark_passed(request: HttpRequest, kind: str) -> None:
    record_authentication(request, request.user, METHOD, type=kind)


def is_missing(request: HttpRequest) -> bool:
    """Must this person pass a second factor before anything else is shown?"""
    return bool(settings.REQUIRE_SECOND_FACTOR) and not is_passed(request) and is_required_of(request.user)


def is_owed(request: HttpRequest) -> bool:
    """Has this person a second factor that this session has not passed, as it is older than the factor?"""
    return not is_passed(request) and has_factor(request.user)


@transaction.atomic
def reset(*, user: Any, actor: Actor, reason: str = "") -> int:
    """Remove every second factor of `user`, who has lost it, and end their sessions. Returns how many were removed."""
    kinds = sorted(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    Authenticator.objects.filter(user=user).delete()
    ended = end_sessions(user)
    record_change(
        actor=actor,
        action="reset second factor",
        target=user,
        store=None,
        before={"second_factors": kinds},
        after={"second_factors": [], "sessions_ended": ended},
        reason=reason,
    )
    return len(kinds)
