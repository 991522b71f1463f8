"""Support at the keyboard: rows, the fast lane from editor to editor, copying, the viewer's time zone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deliveries.models import Delivery
from tests.e2e.desk.conftest import PASSWORD
from tests.e2e.desk.morning import GOOD, SmsApp, failing_morning

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SELECTED = "() => { const a = document.activeElement; return a.value.slice(a.selectionStart, a.selectionEnd) }"
IN_ROW = "() => document.activeElement.closest('table[data-rows] tbody tr') !== null"
CLIPBOARD = "() => navigator.clipboard.readText()"


@pytest.fixture
def morning(receiver: Any, running: Callable[..., int]) -> Any:
    """Four shipments with a bad phone number, refused by the SMS app; one has another number."""
    receiver.script(SmsApp())
    made = failing_morning(receiver.url(""), 4)
    running()
    return made


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("/admin/", "**/resolve/"),
        ("/admin/deliveries/failuregroup/", "**/resolve/"),
        ("/admin/notifications/notification/", "**/resolve/"),
        ("/admin/deliveries/delivery/", "**/resolve/"),
    ],
)
def test_e_resolves_the_row_that_has_the_focus(
    visit: Callable[..., Any], morning: Any, address: str, leads_to: str
) -> None:
    page = visit("Operator")
    page.goto(address)
    page.keyboard.press("j")
    assert page.evaluate(IN_ROW)
    page.keyboard.press("k")
    page.keyboard.press("e")
    page.wait_for_url(leads_to)
    page.keyboard.press("e")
    page.wait_for_url("**/resolve/edit/")


def test_r_asks_before_it_resends_the_row(visit: Callable[..., Any], morning: Any) -> None:
    page = visit("Operator")
    page.goto("/admin/")
    page.keyboard.press("r")  # no row has the focus yet: the first one gets it
    assert page.evaluate(IN_ROW)
    page.keyboard.press("r")
    page.wait_for_url("**/replay/add/**")
    page.goto("/admin/deliveries/delivery/")
    page.keyboard.press("j")
    page.keyboard.press("r")
    page.wait_for_url("**/resolve/confirm/**")
    assert Delivery.objects.filter(status="failed").count() == 4


def test_keys_are_letters_where_somebody_types(visit: Callable[..., Any], morning: Any) -> None:
    page = visit("Operator")
    page.goto("/admin/deliveries/delivery/")
    page.keyboard.press("/")
    page.keyboard.type("ejkr?")
    assert page.locator("#q").input_value() == "ejkr?"
    assert not page.locator("dialog#help").is_visible()
    assert page.url.endswith("/delivery/")


def test_the_fast_lane_goes_from_editor_to_editor_without_a_click(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int]
) -> None:
    page = visit("Operator")
    page.goto("/admin/deliveries/delivery/")
    page.keyboard.press("j")
    page.keyboard.press("e")
    page.wait_for_url("**/resolve/")
    page.keyboard.press("e")
    page.locator(".editor.live").wait_for()
    for left in (3, 2, 1):
        # The suspicious value has the focus and is selected: typing replaces it.
        assert page.evaluate(SELECTED) == "0000000000"
        page.keyboard.type(GOOD)
        with page.expect_navigation():
            page.keyboard.press("Control+Enter")
        page.get_by_text(f"is being sent. {left} left with the same failure").wait_for()
        page.get_by_text("Sent before: shipment").wait_for()
        page.locator(".editor.live").wait_for()
    assert page.evaluate(SELECTED) == "1111111"
    page.keyboard.type(GOOD)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/watch/")
    running()
    page.locator("#content").get_by_text("Delivered.").wait_for()
    assert Delivery.objects.filter(status="succeeded").count() == 4
    assert [each.revisions.count() for each in Delivery.objects.all()] == [1, 1, 1, 1]


def test_the_lane_stops_at_the_review_where_a_reason_is_required(visit: Callable[..., Any], morning: Any) -> None:
    type(morning.store).objects.update(is_reason_required=True)
    page = visit("Operator")
    page.goto(f"/admin/deliveries/delivery/{morning.deliveries[0].pk}/resolve/edit/")
    page.locator(".editor.live").wait_for()
    page.keyboard.type(GOOD)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/review/")
    assert page.evaluate("document.activeElement.id") == "reason"
    page.keyboard.type("the customer called")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/watch/")
    assert morning.deliveries[0].revisions.get().reason == "the customer called"


def test_a_request_and_its_body_are_copied_without_secrets(visit: Callable[..., Any], morning: Any) -> None:
    page = visit("Operator")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/admin/deliveries/delivery/{morning.deliveries[0].pk}/change/")
    page.get_by_role("link", name="copy as curl").first.click()
    page.get_by_text("Copied", exact=True).first.wait_for()
    command = page.evaluate(CLIPBOARD)
    assert command.startswith("curl -i -X POST ")
    assert "hub-token" not in command
    assert "s3cret-token" not in command
    assert "YOUR_" in command
    page.get_by_role("link", name="copy body").first.click()
    page.wait_for_function("() => navigator.clipboard.readText().then((text) => text.startsWith('{'))")
    with page.expect_download() as saved:
        page.get_by_role("link", name="download").first.click()
    assert saved.value.suggested_filename.endswith(".json")


def test_times_are_those_of_the_viewers_zone(chromium: Any, live_server: Any, visit: Callable[..., Any]) -> None:
    visit("Viewer", name="kiri")
    context = chromium.new_context(base_url=live_server.url, timezone_id="Pacific/Auckland")
    try:
        page = context.new_page()
        page.goto("/admin/login/")
        page.fill("#id_username", "kiri")
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        page.goto("/admin/desk/time-zone/")
        assert "in Pacific/Auckland" in page.locator(".lead").inner_text()
        page.select_option("#zone", "Asia/Tokyo")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved for you in this browser.").wait_for()
        page.goto("/admin/desk/time-zone/")
        assert "in Asia/Tokyo" in page.locator(".lead").inner_text()
    finally:
        context.close()
