"""The tour of the README: a bad morning, from the dashboard to a resolved notification."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from deliveries.models import Delivery, Engine
from notifications.models import Notification
from tests.e2e.desk.morning import BAD, GOOD, SmsApp, failing_morning
from tests.e2e.desk.recording import Recording
from tests.factories import TopicFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SCHEMA = {
    "required": ["id"],
    "properties": {"shipping_address": {"properties": {"phone": {"type": "string", "minLength": 7}}}},
}


@pytest.fixture
def morning(receiver: Any, running: Callable[..., int]) -> Any:
    """37 shipments with the same bad phone number, refused by the SMS app."""
    receiver.script(SmsApp())
    made = failing_morning(receiver.url(""), 38)
    odd = made.deliveries[-1]
    odd.delete()
    TopicFactory(store=made.store, name="shipment.updated", schema=SCHEMA)
    running()
    assert Delivery.objects.filter(status="failed").count() == 37
    return made


def beat() -> None:
    with suppress(OperationalError):  # a page writes: the next request does it
        Engine.objects.update(beat_at=timezone.now())


def test_a_bad_morning_is_over_in_a_minute(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int]
) -> None:
    page = visit("Operator", name="anna")
    # The engine of this test runs when it is asked to; the pages are those of one that is always there.
    page.on("request", lambda request: beat())
    recording = Recording(page, "tour")
    page.goto("/admin/")
    recording.show("Hookdesk. 37 text messages were not sent this morning.")
    page.get_by_role("link", name="Resolve…").first.click()
    page.get_by_role("link", name="Edit the payload").wait_for()
    recording.show("What the receiver said, what was sent, and the field that it is about.", 6)
    page.get_by_role("link", name="Edit the payload").click()
    page.locator(".editor.live").wait_for()
    recording.show("The suspicious value is selected. Type over it.")
    page.keyboard.type("55")
    page.get_by_text("is too short").wait_for()
    recording.show("The topic's schema is checked while you type.")
    page.keyboard.type(GOOD[2:])
    page.get_by_text("No problems found").wait_for()
    recording.show("No problems found.", 4)
    page.get_by_role("button", name="Review the change").click()
    page.get_by_text("Changes").wait_for()
    assert page.locator(".diff del").inner_text() == BAD
    recording.show("Before and after. 36 others have the same value: fix them along.", 6)
    page.fill("#reason", "The customer gave us the right number")
    page.get_by_role("button", name="Resend 37 deliveries").click()
    page.get_by_text("37 in progress").wait_for()
    recording.show("Sent again, each as a new revision. The original is kept.")
    running()
    page.locator("#content").get_by_text("37 succeeded").wait_for()
    page.get_by_text("the notification was resolved automatically").wait_for()
    recording.show("All delivered. The notification resolved itself.", 6)
    assert not Notification.objects.filter(status="open", level="error").exists()
    page.goto("/admin/")
    recording.show("Nothing needs attention. Everything is in the audit trail.", 6)
    recording.save()
