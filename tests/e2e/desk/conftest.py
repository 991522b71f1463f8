"""A real browser against a real server: Debian's Chromium, told by playwright where it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group

from deliveries.models import Delivery
from integrations.models import IntegrationHealth, StaffProfile
from tests import services
from tests.factories import UserFactory

PASSWORD = "a-password-for-the-tests"
SHOTS = Path(__file__).resolve().parents[3] / "docs" / "screenshots"


def picture(page: Any, name: str) -> None:
    """A picture for the docs, if TAKE_SCREENSHOTS=1 asks for new ones: a test run leaves the tree as it was."""
    if os.environ.get("TAKE_SCREENSHOTS") == "1":
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(200)
        page.screenshot(path=SHOTS / f"{name}.png")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, once for all tests of a process. Left out with a word where there is none."""
    if why := services.browser_trouble():
        pytest.skip(f"no browser: {why}")
    from playwright.sync_api import sync_playwright

    # Playwright keeps an event loop in this thread; Django's ORM is used from it all the same, by tests only.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(services.BROWSER),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, live_server: Any) -> Iterator[Callable[..., Any]]:
    """`visit()` is a page of somebody who is logged in; whatever the browser complains about fails the test.

    Unless it `can_complain`, as of pages that are refused.
    """
    complaints: list[str] = []
    contexts = []

    def open_page(
        role: str | None = None,
        *,
        theme: str = "light",
        width: int = 1280,
        name: str = "",
        can_complain: bool = False,
        **values: Any,
    ) -> Any:
        user = UserFactory(is_superuser=role is None, **({"username": name} if name else {}), **values)
        if role:
            user.groups.add(Group.objects.get(name=role))
            StaffProfile.objects.create(user=user, sees_all_stores=True)
        user.set_password(PASSWORD)
        user.save()
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme, base_url=live_server.url
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        if not can_complain:
            page.on("console", lambda message: complaints.extend([message.text] if _is_complaint(message) else []))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            page.on("dialog", lambda dialog: dialog.dismiss())
        page.goto("/admin/login/")
        page.fill("#id_username", user.username)
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_complaint(message: Any) -> bool:
    """Browsers look for an icon there if the document names none, as parts of pages and plain text do. That an address
    takes forms alone is its right.
    """
    is_icon = str(message.location.get("url", "")).endswith("/favicon.ico")
    return message.type == "error" and not is_icon and "status of 405" not in message.text


@pytest.fixture
def running(deliver: Callable[..., int]) -> Callable[[], None]:
    """The engine, until all that is open has been tried; breakers are closed meanwhile, so that nothing waits."""

    def run() -> None:
        while Delivery.objects.filter(status__in=["pending", "sending"]).exists():
            IntegrationHealth.objects.update(
                breaker="closed", consecutive_failures=0, probe_at=None, throttled_until=None
            )
            deliver()

    return run
