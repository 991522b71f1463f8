"""A morning's work in a browser: failures appear, are understood, mended together, and gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from deliveries.models import Delivery, FailureGroup
from tests.e2e.desk.conftest import picture
from tests.e2e.desk.morning import GOOD, SmsApp, failing_morning
from tests.factories import TopicFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SELECTED = "() => { const a = document.activeElement; return a.value.slice(a.selectionStart, a.selectionEnd) }"
SCHEMA = {
    "required": ["id"],
    "properties": {"shipping_address": {"properties": {"phone": {"type": "string", "minLength": 7}}}},
}


@pytest.fixture
def morning(receiver: Any, running: Callable[..., int]) -> Any:
    """37 shipments with a bad phone number, one of which is bad in another way, refused by the SMS app."""
    receiver.script(SmsApp())
    made = failing_morning(receiver.url(""), 37)
    running()
    assert Delivery.objects.filter(status="failed").count() == 37
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_whole_wizard_mends_37_deliveries_at_once(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int], theme: str
) -> None:
    TopicFactory(store=morning.store, name="shipment.updated", schema=SCHEMA)
    page = visit("Operator", theme=theme, name="anna")
    page.get_by_role("link", name="Resolve…").first.click()
    page.get_by_role("link", name="Edit the payload").wait_for()
    shot(page, "wizard-1-what-is-wrong", theme)
    page.get_by_role("link", name="Edit the payload").click()

    page.locator(".editor.live").wait_for()
    editor = page.locator("#payload")
    # The suspicious value is selected: typing replaces it.
    assert page.evaluate(SELECTED) == "0000000000"
    page.keyboard.type("55")
    page.get_by_text("is too short").wait_for()
    page.keyboard.type(GOOD[2:])
    page.get_by_text("No problems found").wait_for()
    assert GOOD in editor.input_value()
    assert page.locator(".editor .line .key").count() > 5
    shot(page, "wizard-2-edit", theme)
    page.get_by_role("button", name="Review the change").click()

    page.get_by_text("Changes").wait_for()
    assert page.locator(".diff del").inner_text() == "0000000000"
    assert page.get_by_role("button", name="Resend 36 deliveries").is_visible()
    assert page.get_by_text("does not apply").count() == 1
    page.fill("#reason", "The customer gave us the right number")
    shot(page, "wizard-3-review", theme)
    page.get_by_role("button", name="Resend 36 deliveries").click()

    page.get_by_text("36 in progress").wait_for()
    running()
    # Without reloading.
    page.locator("#content").get_by_text("36 succeeded").wait_for()
    shot(page, "wizard-4-watch", theme)
    assert Delivery.objects.filter(status="succeeded").count() == 36
    assert Delivery.objects.filter(status="failed").count() == 1


def test_the_last_one_resolves_the_group_and_its_notification(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int]
) -> None:
    page = visit("Operator")
    for _ in range(2):  # those that are alike, then the odd one
        group = FailureGroup.objects.filter(status="open").first()
        assert group is not None
        page.goto(f"/admin/deliveries/failuregroup/{group.pk}/resolve/")
        page.get_by_role("link", name="Edit the payload").click()
        text = page.locator("#payload").input_value()
        payload = json.loads(text)
        payload["shipping_address"]["phone"] = GOOD
        page.fill("#payload", json.dumps(payload, indent=2))
        page.get_by_role("button", name="Review the change").click()
        page.get_by_role("button", name="Resend").click()
        page.wait_for_url("**/watch/")
        running()
        page.get_by_text("Delivered.").or_(page.get_by_text("succeeded")).first.wait_for()
        if not FailureGroup.objects.filter(status="open").exists():
            break
    page.get_by_text("the notification was resolved automatically").wait_for()
    page.goto("/admin/notifications/notification/?tab=resolved")
    page.get_by_text("auto").first.wait_for()


def test_it_works_without_javascript(
    visit: Callable[..., Any], chromium: Any, morning: Any, running: Callable[..., int], live_server: Any
) -> None:
    page = visit("Operator")
    cookies = page.context.cookies()
    plain = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(cookies)
    page = plain.new_page()
    page.goto("/admin/deliveries/delivery/")
    page.locator("a.what").first.click()
    page.get_by_role("link", name="Resolve…").click()
    page.get_by_role("link", name="Edit the payload").click()
    text = page.locator("#payload").input_value()
    page.fill("#payload", text.replace("0000000000", GOOD).replace("1111111", GOOD))
    page.get_by_role("button", name="Review the change").click()
    page.get_by_role("button", name="Resend").click()
    page.wait_for_url("**/watch/")
    running()
    page.reload()
    assert page.get_by_text("succeeded").count() or page.get_by_text("Delivered").count()
    plain.close()


def test_the_second_of_two_people_is_told(visit: Callable[..., Any], morning: Any) -> None:
    address = f"/admin/deliveries/delivery/{morning.deliveries[0].pk}/resolve/"
    anna, bo = visit("Operator", name="anna"), visit("Operator", name="bo")
    anna.goto(address + "edit/")
    bo.goto(address + "edit/")
    bo.get_by_text("anna is also resolving this delivery").wait_for()
    for page in (anna, bo):
        text = page.locator("#payload").input_value()
        page.fill("#payload", text.replace("0000000000", GOOD))
        page.get_by_role("button", name="Review the change").click()
        page.get_by_text("Changes").wait_for()
    anna.get_by_role("button", name="Resend").click()
    anna.wait_for_url("**/watch/")
    bo.get_by_role("button", name="Resend").click()
    bo.get_by_text("Nothing was overwritten").wait_for()
    assert morning.deliveries[0].revisions.count() == 1


def test_the_keyboard_alone_opens_and_edits_a_failure(visit: Callable[..., Any], morning: Any) -> None:
    page = visit("Operator")
    page.goto("/admin/deliveries/delivery/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/change/")
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.wait_for_url("**/resolve/")
    page.keyboard.press("e")
    page.wait_for_url("**/resolve/edit/")
    page.goto("/admin/deliveries/delivery/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"


def test_all_that_match_are_resent_with_progress(visit: Callable[..., Any], morning: Any) -> None:
    page = visit("Operator")
    page.goto("/admin/deliveries/delivery/")
    page.get_by_role("link", name="resend…").click()
    # It would wait for the results of the first ones: see test_outage.py.
    page.get_by_role("checkbox", name="Stop when more than").uncheck()
    page.get_by_role("button", name="Resend 37 deliveries").click()
    page.wait_for_url("**/change/")
    from deliveries.models import Replay
    from deliveries.replay import run

    page.goto("/admin/")  # closing the page stops nothing
    run(Replay.objects.get().pk)
    page.goto("/admin/deliveries/replay/")
    page.locator("a.what").first.click()
    page.get_by_text("37 of 37", exact=True).wait_for()
    assert Delivery.objects.filter(status="pending").count() == 37


def shot(page: Any, name: str, theme: str) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    picture(page, f"{name}-{theme}")
