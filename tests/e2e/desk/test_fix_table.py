"""The table step in a browser: 37 failures whose phone numbers are all bad in ways of their own, in a few clicks."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import BulkFix, Delivery, RecipeUse
from deliveries.recipes.applying import apply_recipes
from deliveries.replay import step
from tests.deliveries.recipes.morning import Fleet, fleet, good, spoiled
from tests.e2e.desk.conftest import picture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MOST_CLICKS = 12


class Hands:
    """Clicks and counts them."""

    def __init__(self) -> None:
        self.clicks = 0

    def click(self, locator: Any) -> None:
        self.clicks += 1
        locator.click()


@pytest.fixture
def morning(receiver: Any, running: Callable[[], None]) -> Fleet:
    made, rng = fleet(receiver, name="Courier"), random.Random(1)
    for number in range(40):
        made.ship(1000 + number, good(rng))
    for number in range(37):
        made.ship(2000 + number, spoiled(good(rng), number))
    running()
    assert Delivery.objects.filter(status="failed").count() == 37
    return made


def work_off(running: Callable[[], None]) -> None:
    """What the worker does: the replay, then the engine."""
    for fix in BulkFix.objects.filter(replay__isnull=False):
        assert fix.replay_id is not None
        while not step(fix.replay_id, timezone.now()).is_over:
            running()  # what has been sent first decides about the rest
    running()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_operator_fixes_37_different_numbers_and_the_next_days_fix_themselves(
    visit: Callable[..., Any], morning: Fleet, running: Callable[[], None], theme: str
) -> None:
    rng = random.Random(1)
    wanted = [good(rng) for _ in range(77)][40:]
    page, hands = visit("Operator", theme=theme, name="anna"), Hands()
    hands.click(page.get_by_role("link", name="Resolve…").first)
    hands.click(page.get_by_role("button", name="Fix all 37 in a table"))
    hands.click(page.get_by_role("button", name="Use these rules"))
    page.locator(".counts", has_text="37 fit").wait_for()
    if theme == "light":
        picture(page, "fix-table-light")
    else:
        picture(page, "fix-table-dark")
    hands.click(page.locator("summary", has_text="Future failures like these"))
    hands.click(page.locator("input[name=keep]"))
    hands.click(page.get_by_role("button", name="Resend 37 deliveries"))
    page.wait_for_url("**/change/")
    work_off(running)
    page.locator("#content").get_by_text("37 succeeded").wait_for()
    page.get_by_text("No delivery fails this way now").wait_for()
    assert hands.clicks <= MOST_CLICKS
    taken = dict(morning.courier.taken)
    assert [taken[str(2000 + number)] for number in range(37)] == wanted
    assert len(morning.courier.taken) == 77  # nothing twice

    for number in range(8):
        morning.ship(3000 + number, spoiled(good(rng), number))
    running()
    while apply_recipes(timezone.now()):
        running()
    assert not Delivery.objects.exclude(status="succeeded").exists()
    assert RecipeUse.objects.count() == 8


def test_the_table_answers_while_it_is_filled_in_and_the_keyboard_goes_on_as_in_a_spreadsheet(
    visit: Callable[..., Any], morning: Fleet
) -> None:
    page = visit("Operator")
    open_table(page)
    page.get_by_role("button", name="Change the beginning").click()
    page.locator("input[name=rule-0-to]").fill("+254")
    page.locator("input[name=rule-0-from]").type("0,")
    page.locator(".counts", has_text="fit").wait_for()
    page.locator("#send:not([disabled])").wait_for()
    cells = page.locator("input[name^=cell-]")
    cells.nth(0).fill("+254711111111")
    cells.nth(0).press("Enter")
    page.locator(".counts", has_text="1 typed by hand").wait_for()
    page.wait_for_function(
        "() => document.activeElement.name === document.querySelectorAll('input[name^=cell-]')[1].name"
    )
    page.keyboard.press("Control+a")
    page.keyboard.type("+254722222222")
    page.keyboard.press("Enter")
    page.locator(".counts", has_text="2 typed by hand").wait_for()
    paste(page, "+254733333331\n+254733333332\n+254733333333")
    page.locator(".counts", has_text="5 typed by hand").wait_for()
    page.locator("a", has_text="Fit").first.click()
    page.get_by_role("button", name="Take these back").click()
    page.locator(".counts:not(:has-text('typed by hand'))").wait_for()
    assert BulkFix.objects.get().items.count() == 0


def paste(page: Any, text: str) -> None:
    page.evaluate(
        "(text) => { const data = new DataTransfer(); data.setData('text/plain', text);"
        " document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })) }",
        text,
    )  # fmt: skip


def open_table(page: Any) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name="Resolve…").first.click()
    page.get_by_role("button", name="Fix all 37 in a table").click()
    page.locator("#table-form").wait_for()


def test_it_works_without_javascript(
    visit: Callable[..., Any], chromium: Any, morning: Fleet, running: Callable[[], None], live_server: Any
) -> None:
    cookies = visit("Operator").context.cookies()
    plain = chromium.new_context(base_url=live_server.url, java_script_enabled=False)
    plain.add_cookies(cookies)
    page = plain.new_page()
    open_table(page)
    page.get_by_role("button", name="Use these rules").click()
    page.locator("input[name^=cell-]").first.fill("+254799999999")
    page.get_by_role("button", name="Preview").last.click()
    page.get_by_text("1 typed by hand").wait_for()
    page.get_by_role("button", name="Resend 37 deliveries").click()
    page.wait_for_url("**/change/")
    work_off(running)
    page.reload()
    page.get_by_text("37 succeeded").first.wait_for()
    plain.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_of_it_is_wider_than_the_screen(
    visit: Callable[..., Any], morning: Fleet, running: Callable[[], None], width: int
) -> None:
    page = visit(None, width=width)
    open_table(page)
    page.get_by_role("button", name="Use these rules").click()
    page.locator("summary", has_text="Future failures").click()
    page.locator("summary", has_text="Paste, import").click()
    check_width(page)
    page.locator("input[name=keep]").check()
    page.get_by_role("button", name="Resend 37 deliveries").click()
    page.wait_for_url("**/change/")
    work_off(running)
    for url in ("", "/admin/deliveries/bulkfix/", "/admin/deliveries/recipe/"):
        if url:
            page.goto(url)
        check_width(page)
    page.locator("a.what").first.click()
    page.get_by_role("heading", name="Latest deliveries").wait_for()
    check_width(page)


def check_width(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
