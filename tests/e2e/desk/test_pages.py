"""Every page in a browser: light and dark, wide and narrow, accessible, and as pictures for the docs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.desk.accessibility import is_focus_seen, violations
from tests.e2e.desk.busy_day import busy_day
from tests.e2e.desk.conftest import picture

__all__ = ["busy_day"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def addresses(delivery: Any, integration: Any) -> dict[str, str]:
    at = f"/admin/deliveries/delivery/{delivery.pk}"
    return {
        "dashboard": "/admin/",
        "deliveries": "/admin/deliveries/delivery/",
        "all-deliveries": "/admin/deliveries/delivery/?tab=all",
        "delivery": f"{at}/change/",
        "diagnose": f"{at}/resolve/",
        "editor": f"{at}/resolve/edit/",
        "discard": f"{at}/resolve/confirm/?action=discard",
        "watch": f"{at}/resolve/watch/",
        "failures": "/admin/deliveries/failuregroup/",
        "failure": f"/admin/deliveries/failuregroup/{delivery.failure_group_id}/change/",
        "bulk-resend": "/admin/deliveries/replay/add/?status=failed",
        "notifications": "/admin/notifications/notification/",
        "channels": "/admin/notifications/channel/add/",
        "integrations": "/admin/integrations/integration/",
        "kinds": "/admin/integrations/integration/add/",
        "new-integration": "/admin/integrations/integration/add/?kind=hub",
        "integration": f"/admin/integrations/integration/{integration.pk}/change/",
        "test": f"/admin/deliveries/delivery/test/{integration.pk}/",
        "subscriptions": "/admin/subscriptions/subscription/",
        "subscription": f"/admin/subscriptions/subscription/{delivery.subscription_id}/change/",
        "topic": "/admin/subscriptions/topic/add/",
        "store": f"/admin/integrations/store/{delivery.store_id}/change/",
        "audit": "/admin/integrations/auditentry/",
        "events": "/admin/deliveries/event/",
        "event": f"/admin/deliveries/event/{delivery.event_id}/change/",
        "users": "/admin/auth/user/",
    }


PICTURES = {"dashboard", "deliveries", "delivery", "failures", "integration", "kinds", "subscription", "store"}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_accessible_and_fit_wide_and_narrow(visit: Callable[..., Any], busy_day: Any, theme: str) -> None:
    page = visit(theme=theme, name="anna")
    found: dict[str, Any] = {}
    for name, address in addresses(busy_day, busy_day.integration).items():
        page.set_viewport_size({"width": 1280, "height": 800})
        assert page.goto(address).status == 200, name
        if name in PICTURES:
            picture(page, f"{name}-{theme}")
        found[name] = violations(page)
        page.set_viewport_size({"width": 390, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            found[name] = [*found[name], f"{wide} px wider than a phone"]
        if name == "dashboard":
            picture(page, f"{name}-phone-{theme}")
    lines = [f"{name}: {problem}" for name, problems_of in found.items() for problem in problems_of]
    assert not lines, "\n".join(lines)


#: By how many pixels the page is wider and higher than the window.
OVERFLOW = """
() => { const root = document.documentElement;
        return [root.scrollWidth - root.clientWidth, root.scrollHeight - root.clientHeight]; }
"""
#: Is the text of the heading covered by what comes after it?
COVERED = """
() => { const text = document.createRange();
        text.selectNodeContents(document.querySelector("h1"));
        const box = text.getBoundingClientRect();
        return Array.from(document.querySelectorAll("#content input:not([type=hidden]), #content a, #content th"))
          .filter((one) => one.checkVisibility() && !one.closest("h1"))
          .map((one) => one.getBoundingClientRect())
          .some((other) => other.width > 1 && other.left < box.right - 1 && other.right > box.left + 1
            && other.top < box.bottom - 1 && other.bottom > box.top + 1); }
"""


@pytest.mark.parametrize("name", ["a name of several words that is as long as names may get " * 3, "unbroken-" * 22])
def test_one_long_name_makes_no_page_wider_than_a_phone(visit: Callable[..., Any], busy_day: Any, name: str) -> None:
    type(busy_day.integration).objects.filter(pk=busy_day.integration_id).update(name=name[:200])
    page = visit(width=390)
    found = {}
    for title, address in addresses(busy_day, busy_day.integration).items():
        page.goto(address)
        if wide := page.evaluate(OVERFLOW)[0]:
            found[title] = wide
    assert found == {}


def test_lists_show_their_titles_and_short_pages_do_not_scroll(visit: Callable[..., Any], busy_day: Any) -> None:
    page = visit()
    found = []
    for model in ("deliveries/event", "deliveries/attempt", "deliveries/engine", "deliveries/record", "auth/user",
                  "notifications/channel", "integrations/auditentry", "integrations/store", "subscriptions/topic"):  # fmt: skip
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(f"/admin/{model}/")
            if page.evaluate(COVERED):
                found.append(f"{model} at {width}: its title is covered")
            if 0 < page.evaluate(OVERFLOW)[1] < 4:
                found.append(f"{model} at {width}: scrolls for nothing")
    assert found == []


@pytest.mark.parametrize("name", ["dashboard", "deliveries", "delivery", "editor", "integration"])
def test_the_focus_is_always_seen(visit: Callable[..., Any], busy_day: Any, name: str) -> None:
    page = visit()
    page.goto(addresses(busy_day, busy_day.integration)[name])
    assert is_focus_seen(page)
