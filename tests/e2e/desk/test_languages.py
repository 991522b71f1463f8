"""The desk in other languages, in a browser: a script's words, and pages that are read from right to left."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone, translation
from django.utils.translation import ngettext

from config.desk.written import grouped, relative
from tests.e2e.desk.busy_day import addresses, busy_day, everything
from tests.e2e.desk.test_pages import COVERED, OVERFLOW, opened, show

__all__ = ["busy_day"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

COOKIE = "hookdesk_language"
#: What is looked at by day: menus, figures, tables, payloads, the editor and forms.
PAGES = (
    "index",
    "deliveries_delivery_changelist",
    "deliveries_delivery_change",
    "deliveries_failuregroup_change",
    "deliveries_delivery_resolve",
    "deliveries_delivery_edit",
    "deliveries_bulkfix_change",
    "integrations_integration_change",
    "integrations_integration_add",
    "account_security",
)
#: Things at the side where lines begin and at the one where they end: the middles of two parts of the header.
SIDES = """
() => ['#site-name', '#user-tools'].map((one) => document.querySelector(one)).filter((one) => one)
        .map((one) => one.getBoundingClientRect().x)
"""
DIRECTIONS = "() => Array.from(document.querySelectorAll('code, pre, .id'), (one) => getComputedStyle(one).direction)"


@pytest.fixture
def arabic(settings: Any) -> str:
    """A language that is read from right to left. The desk has no words in it, and Django does."""
    settings.LANGUAGES = [*settings.LANGUAGES, ("ar", "العربية")]
    return "ar"


def speak(page: Any, language: str, live_server: Any) -> None:
    page.context.add_cookies([{"name": COOKIE, "value": language, "url": live_server.url}])


def test_pages_are_mirrored_and_fit_from_right_to_left(
    visit: Callable[..., Any], busy_day: Any, arabic: str, live_server: Any
) -> None:
    def is_mirrored(page: Any) -> list[str]:
        sides = page.evaluate(SIDES)
        found = [] if sides == sorted(sides, reverse=True) else ["the header is not mirrored"]
        found += [] if page.get_attribute("html", "dir") == "rtl" else ["it says that it is read from left to right"]
        return found + (["code is read from right to left"] if set(page.evaluate(DIRECTIONS)) - {"ltr"} else [])

    page = visit(name="anna")
    speak(page, arabic, live_server)
    assert troubles(page, busy_day, is_mirrored) == []


@pytest.mark.parametrize("language", ["de", "fr"])
def test_pages_fit_in_languages_with_longer_words(
    visit: Callable[..., Any], busy_day: Any, live_server: Any, language: str
) -> None:
    def is_said(page: Any) -> list[str]:
        return [] if page.get_attribute("html", "lang") == language else [f"it does not say that it is in {language}"]

    page = visit(name="anna")
    speak(page, language, live_server)
    assert troubles(page, busy_day, is_said) == []


def troubles(page: Any, busy_day: Any, more: Callable[[Any], list[str]]) -> list[str]:
    """What is wrong with the pages, wide and narrow: each is to fit, and to have nothing of what `more` finds."""
    page.set_default_timeout(30_000)
    found, wanted = [], addresses(everything(busy_day))
    shown = {name: wanted[name] for name in wanted if name in PAGES or os.environ.get("LANGUAGE_PICTURES")}
    for name in opened(page, shown):
        for width in (1280, 390):
            show(page, theme="light", width=width)
            picture(page, f"{name}-{width}")
            wrong = more(page)
            if wide := page.evaluate(OVERFLOW)[0]:
                wrong.append(f"{wide} px wider than the window")
            if page.evaluate(COVERED):
                wrong.append("its title is covered")
            found += [f"{name} at {width}: {each}" for each in wrong]
    return found


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_scripts_say_what_the_server_says(visit: Callable[..., Any], live_server: Any, language: str) -> None:
    page = visit()
    speak(page, language, live_server)
    page.goto("/admin/")
    with translation.override(language):
        now = timezone.now()
        assert page.evaluate("deskWords.digits(1234567)") == grouped(1_234_567)
        assert page.evaluate("deskWords.said('before', 4, 'min')") == relative(now - timedelta(minutes=4), now)
        assert page.evaluate("deskWords.said('after', 12, 's')") == relative(now + timedelta(seconds=12), now)
        for number in (0, 1, 2, 5, 1200):
            said = ngettext("%(number)s delivery", "%(number)s deliveries", number) % {"number": grouped(number)}
            assert page.evaluate(f"deskWords.counted('deliveries', {number})") == said


def picture(page: Any, name: str) -> None:
    """For the eye, of all pages, if a folder for it is named."""
    if folder := os.environ.get("LANGUAGE_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
