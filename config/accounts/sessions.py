"""Who is logged in where: one row a session, found by person, so that people can end their other sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.security.client_address import client_address

#: In the session: the key under which its row stands. Another one means that the key was changed since.
TRACKED = "tracked_key"
#: Expired sessions that a login removes.
CLEARED_AT_ONCE = 50
LONGEST_AGENT = 200


@dataclass(frozen=True, slots=True)
class OpenSession:
    pk: int
    browser: str
    address: str
    created_at: datetime
    seen_at: datetime
    is_current: bool


def track(request: HttpRequest, user: Any) -> None:
    """Write that `user` uses this session, from where and when. One statement."""
    key = request.session.session_key
    if not key:
        return
    now = timezone.now()
    row = UserSession(
        session_key=key,
        user=user,
        # No address: a Unix socket, used on this machine.
        ip=client_address(request).partition("%")[0] or "127.0.0.1",
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:LONGEST_AGENT],
        created_at=now,
        last_seen_at=now,
    )
    UserSession.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["session_key"],
        update_fields=["user", "ip", "user_agent", "last_seen_at"],
    )
    request.session[TRACKED] = key


def is_tracked(request: HttpRequest) -> bool:
    return bool(request.session.get(TRACKED) == request.session.session_key)


def rename(old: str | None, request: HttpRequest) -> None:
    """The session goes on under a new key."""
    UserSession.objects.filter(session_key=old).update(session_key=request.session.session_key)
    request.session[TRACKED] = request.session.session_key


def clear_expired(now: datetime) -> None:
    """Remove some sessions that have ended by themselves, and their rows."""
    keys = list(
        Session.objects.filter(expire_date__lt=now)
        .order_by("expire_date")
        .values_list("pk", flat=True)[:CLEARED_AT_ONCE]
    )
    if keys:
        _delete(keys)


def open_sessions(user: Any, current: str | None) -> list[OpenSession]:
    """This person's sessions, the current one first, then the last used."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at")[:200])
    alive = set(
        Session.objects.filter(pk__in=[row.session_key for row in rows], expire_date__gt=timezone.now()).values_list(
            "pk", flat=True
        )
    )
    found = [
        OpenSession(
            row.pk, browser_name(row.user_agent), row.ip, row.created_at, row.last_seen_at, row.session_key == current
        )
        for row in rows
        if row.session_key in alive
    ]
    return sorted(found, key=lambda one: not one.is_current)


def end_sessions(user: Any, *, but: str | None = None, only: int | None = None) -> int:
    """Log this person out everywhere, `but` in the session with this key, or of the row `only`. Returns how many."""
    rows = UserSession.objects.filter(user=user)
    if only is not None:
        rows = rows.filter(pk=only)
    return _delete([key for key in rows.values_list("session_key", flat=True) if key != but])


def _delete(keys: Iterable[str]) -> int:
    keys = list(keys)
    count, _by_model = Session.objects.filter(pk__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return count


#: In this order: most browsers name others too.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip


def browser_name(user_agent: str) -> str:
    """`Firefox on Linux`, as far as a user agent tells."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or user_agent.partition(" ")[0][:40] or _("Unknown browser")
