"""Every page in a browser: light and dark, wide and narrow, accessible, and as pictures for the docs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError

from integrations.models import Integration, Store
from notifications.models import Channel
from tests.e2e.desk.accessibility import is_focus_seen, violations
from tests.e2e.desk.busy_day import addresses, busy_day, everything
from tests.e2e.desk.conftest import picture

__all__ = ["busy_day"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Route → name of the picture for the docs.
PICTURES = {
    "index": "dashboard",
    "deliveries_delivery_changelist": "deliveries",
    "deliveries_delivery_change": "delivery",
    "deliveries_failuregroup_changelist": "failures",
    "integrations_integration_change": "integration",
    "integrations_integration_add": "kinds",
    "subscriptions_subscription_change": "subscription",
    "integrations_store_change": "store",
    "deliveries_delivery_compare": "compare",
}
#: By how many pixels the page is wider and higher than the window.
OVERFLOW = """
() => { const root = document.documentElement;
        return [root.scrollWidth - root.clientWidth, root.scrollHeight - root.clientHeight]; }
"""
#: Is the text of the heading covered by what comes after it?
COVERED = """
() => { const title = document.querySelector("h1:not(.visually-hidden)"), text = document.createRange();
        if (!title) { return false; }
        text.selectNodeContents(title);
        const box = text.getBoundingClientRect();
        return Array.from(document.querySelectorAll("#content input:not([type=hidden]), #content a, #content th"))
          .filter((one) => one.checkVisibility() && !one.closest("h1"))
          .map((one) => one.getBoundingClientRect())
          .some((other) => other.width > 1 && other.left < box.right - 1 && other.right > box.left + 1
            && other.top < box.bottom - 1 && other.bottom > box.top + 1); }
"""
#: Enough for the workers to end together.
PARTS = 4


def show(page: Any, *, theme: str, width: int) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})


def opened(page: Any, pages: dict[str, str]) -> Iterator[str]:
    """The name of each address that is a page, opened wide and light: no form's target, no fragment."""
    for name, address in pages.items():
        show(page, theme="light", width=1280)
        try:
            status = page.goto(address).status
        except PlaywrightError as error:
            if "ERR_HTTP_RESPONSE_CODE_FAILURE" not in str(error):
                raise
            continue  # an address that takes POST alone answers with no document
        if page.query_selector("main") is not None:
            assert status == 200, f"{name} answered {status}"
            yield name


def faults(page: Any, name: str) -> list[str]:
    """What is wrong with the page that is open: for the eye, a screen reader and a thumb."""
    found = [f"wide: {each}" for each in [*misplaced(page), *violations(page)]]
    take(page, name, "light")
    if name in PICTURES:
        show(page, theme="dark", width=1280)
        take(page, name, "dark")
    # The theme changes nothing but colours, and the width nothing of them: two looks see all four.
    show(page, theme="dark", width=390)
    return found + [f"narrow, dark: {each}" for each in [*misplaced(page), *violations(page)]]


def misplaced(page: Any) -> list[str]:
    wide = page.evaluate(OVERFLOW)[0]
    found = [f"{wide} px wider than the window"] if wide else []
    return [*found, "its title is covered"] if page.evaluate(COVERED) else found


def take(page: Any, name: str, theme: str) -> None:
    if name in PICTURES:
        picture(page, f"{PICTURES[name]}-{theme}")
    if name == "index":
        show(page, theme=theme, width=390)
        picture(page, f"dashboard-phone-{theme}")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_accessible_and_fits_in_both_themes_wide_and_narrow(
    visit: Callable[..., Any], busy_day: Any, part: int
) -> None:
    page = visit(name="anna")
    pages = addresses(everything(busy_day))
    some = {name: address for position, (name, address) in enumerate(pages.items()) if position % PARTS == part}
    found = {name: faults(page, name) for name in opened(page, some)}
    assert len(found) > 60 // PARTS, "these are not the pages"
    lines = [f"{name} {fault}" for name, faults_of in found.items() for fault in faults_of]
    assert not lines, "\n".join(lines)


def test_an_empty_desk_is_accessible_and_says_what_would_be_there(visit: Callable[..., Any], db: Any) -> None:
    page = visit()
    lists = ("deliveries/delivery/?tab=all", "deliveries/failuregroup", "deliveries/event", "deliveries/record",
             "deliveries/attempt", "deliveries/engine", "deliveries/replay", "integrations/integration",
             "integrations/store", "subscriptions/subscription", "subscriptions/topic", "notifications/channel",
             "notifications/notification", "integrations/auditentry", "django_q/schedule")  # fmt: skip
    found = []
    for name in opened(page, {each: f"/admin/{each}" + ("" if "?" in each else "/") for each in lists}):
        if page.locator(".empty").count() != 1:
            found.append(f"{name} says nothing")
        if page.evaluate(OVERFLOW)[1]:
            found.append(f"{name} scrolls for nothing")
        found += [f"{name} {fault}" for fault in faults(page, name)]
    assert not found, "\n".join(found)


def test_doors_and_dead_ends_are_accessible(visit: Callable[..., Any], live_server: Any) -> None:
    page = visit("Viewer", can_complain=True)
    places = {"not found": "/admin/deliveries/delivery/nope/", "not allowed": "/admin/integrations/integration/add/",
              "malformed": "/admin/deliveries/event/?e=1&origin__regex=(", "confirm": "/admin/desk/confirm/"}  # fmt: skip
    found = []
    for name, address in places.items():
        show(page, theme="light", width=1280)
        page.goto(address)
        found += [f"{name} {fault}" for fault in faults(page, name)]
    page.goto("/admin/deliveries/delivery/nope/")
    assert page.get_by_role("navigation", name="Main").is_visible(), "somebody who is lost has no menu"
    page.locator("#user-tools summary").click()
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("You are logged out.").wait_for()
    found += [f"logged out {fault}" for fault in faults(page, "logged out")]
    show(page, theme="light", width=1280)
    page.goto("/admin/login/")
    found += [f"login {fault}" for fault in faults(page, "login")]
    assert not found, "\n".join(found)


def test_one_long_name_makes_no_page_wider_than_its_window(visit: Callable[..., Any], busy_day: Any) -> None:
    name = "a name of several words as long as they get " * 2 + "unbroken-" * 12
    rows = everything(busy_day)
    for model in (Integration, Store, Channel):
        longest = model._meta.get_field("name").max_length
        for row in model.objects.all():
            model.objects.filter(pk=row.pk).update(name=name[: longest - 40] + str(row.pk))
    page = visit(first_name=name[:150], username="unbroken" * 18)
    found = []
    for title in opened(page, addresses(rows)):
        for width in (1280, 900, 390):
            page.set_viewport_size({"width": width, "height": 800})
            if wide := page.evaluate(OVERFLOW)[0]:
                found.append(f"{title} at {width}: {wide} px too wide")
    assert not found, "\n".join(found)


def test_the_focus_is_always_seen(visit: Callable[..., Any], busy_day: Any) -> None:
    page = visit()
    pages = addresses(everything(busy_day))
    names = ("index", "deliveries_delivery_changelist", "deliveries_delivery_change", "deliveries_delivery_edit",
             "integrations_integration_change", "auth_user_change", "deliveries_event_changelist")  # fmt: skip
    assert [name for name in opened(page, {name: pages[name] for name in names}) if not is_focus_seen(page)] == []
