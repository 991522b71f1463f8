"""Rate limit on password attempts, counted in the database across all web processes.

Three counters per attempt: the name from this address (strict), the address over all names (against one
password tried on many names), and the name over all addresses (soft: it slows down and never locks the owner out).
A browser that has logged in as this name before has its own counter and none of the three, so that other people's
failures never keep its owner waiting. An attempt is counted before the password is checked, so that parallel ones
cannot get round the limit; a refused attempt is not counted, so that continuing prolongs nobody's wait.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import ngettext

from config.models import LoginLimit


@dataclass(frozen=True, slots=True)
class Rule:
    """After `free` failures each further one makes the next wait, doubling from `first` to `longest`."""

    free: int
    first: timedelta
    longest: timedelta

    def wait_after(self, count: int) -> timedelta | None:
        if count < self.free:
            return None
        return min(self.longest, self.first * (1 << min(count - self.free, 20)))


PAIR = Rule(5, timedelta(seconds=30), timedelta(minutes=15))
DEVICE = Rule(10, timedelta(seconds=30), timedelta(minutes=15))
ADDRESS = Rule(50, timedelta(seconds=30), timedelta(minutes=15))
NAME = Rule(20, timedelta(seconds=5), timedelta(minutes=1))
#: Up to this many failures of a name, an address that has not failed with it yet gets its first attempt without a wait.
FIRST_TRY_UNTIL = 200
#: Failures are forgotten after this long without a new one.
WINDOW = timedelta(hours=6)
#: The most rows kept; each attempt removes some of the expired or excess ones.
MOST_ROWS = 100_000
CLEARED_AT_ONCE = 50


class Throttled(Exception):
    """Too many failures; `seconds` until the next attempt is allowed."""

    def __init__(self, wait: timedelta) -> None:
        self.seconds = max(1, math.ceil(wait.total_seconds()))
        super().__init__(_sentence(self.seconds))


class SaysWhenToReturn:
    """Of a form's view: a throttled attempt gets 429 and when to try again. The form keeps why in `throttled`."""

    def form_invalid(self, form: Any) -> Any:
        response = super().form_invalid(form)  # type: ignore[misc]
        if form.throttled is not None:
            response.status_code = 429
            response["Retry-After"] = str(form.throttled.seconds)
        return response


@dataclass(frozen=True, slots=True)
class Charge:
    """One counted attempt: its keys, and until when it blocked each of them."""

    own_key: str
    shared: tuple[tuple[str, datetime | None], ...]


def charge(*, name: str, address: str, device: str = "", now: datetime | None = None) -> Charge:
    """Count an attempt before its password is checked. Raises Throttled, and then counts nothing.

    `device` is the id of a browser that has logged in as `name` before, or empty.
    """
    now = now or timezone.now()
    name = unicodedata.normalize("NFKC", name).strip().casefold()
    if device:
        own, rules = key_of("device", name, device), {key_of("device", name, device): DEVICE}
        by_name = ""
    else:
        own, by_name = key_of("pair", name, address), key_of("name", name)
        rules = {own: PAIR, by_name: NAME, key_of("address", address): ADDRESS}
    with transaction.atomic():
        rows = _locked(list(rules), now)
        is_first_try = bool(by_name) and rows[own].count == 0 and rows[by_name].count < FIRST_TRY_UNTIL
        waits = [
            row.blocked_until - now
            for key, row in rows.items()
            if row.blocked_until is not None and row.blocked_until > now and not (is_first_try and key == by_name)
        ]
        if waits:
            raise Throttled(max(waits))
        for key, row in rows.items():
            row.count += 1
            wait = rules[key].wait_after(row.count)
            row.blocked_until = now + wait if wait else None
            row.updated_at = now
        LoginLimit.objects.bulk_update(rows.values(), ["count", "blocked_until", "updated_at"])
        _clear(now)
    return Charge(own, tuple((key, row.blocked_until) for key, row in rows.items() if key != own))


def settle(charged: Charge) -> None:
    """The password was right: forget the failures of this address or browser, and subtract the attempt from the
    other counters.
    """
    with transaction.atomic():
        LoginLimit.objects.filter(key=charged.own_key).delete()
        for key, blocked_until in sorted(charged.shared):
            LoginLimit.objects.filter(key=key, count__gt=0).update(count=F("count") - 1)
            if blocked_until is not None:
                LoginLimit.objects.filter(key=key, blocked_until=blocked_until).update(blocked_until=None)


def key_of(*parts: str) -> str:
    return salted_hmac("config.desk.login_throttle", json.dumps(parts), algorithm="sha256").hexdigest()


def _locked(keys: list[str], now: datetime) -> dict[str, LoginLimit]:
    """The rows, created if missing, locked in one fixed order."""
    keys = sorted(keys)
    new = [LoginLimit(key=key, updated_at=now) for key in keys]
    LoginLimit.objects.bulk_create(new, ignore_conflicts=True)
    rows = {row.key: row for row in LoginLimit.objects.select_for_update().filter(key__in=keys).order_by("key")}
    for row in rows.values():
        if row.updated_at < now - WINDOW:
            row.count, row.blocked_until = 0, None
    return rows


def _clear(now: datetime) -> None:
    oldest = LoginLimit.objects.filter(updated_at__lt=now - WINDOW).order_by("updated_at")
    beyond = LoginLimit.objects.order_by("-updated_at")
    for rows in (oldest.values_list("pk", flat=True)[:CLEARED_AT_ONCE],
                 beyond.values_list("pk", flat=True)[MOST_ROWS : MOST_ROWS + CLEARED_AT_ONCE]):  # fmt: skip
        found = list(rows)
        if found:
            free = LoginLimit.objects.select_for_update(
                skip_locked=connection.features.has_select_for_update_skip_locked
            ).filter(pk__in=found)
            LoginLimit.objects.filter(pk__in=list(free.values_list("pk", flat=True))).delete()


def _sentence(seconds: int) -> str:
    if seconds < 60:
        return ngettext(
            "Too many failed attempts. Try again in %(number)d second.",
            "Too many failed attempts. Try again in %(number)d seconds.",
            seconds,
        ) % {"number": seconds}
    minutes = math.ceil(seconds / 60)
    return ngettext(
        "Too many failed attempts. Try again in %(number)d minute.",
        "Too many failed attempts. Try again in %(number)d minutes.",
        minutes,
    ) % {"number": minutes}
