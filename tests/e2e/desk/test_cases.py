"""A case in a browser: given, commented, snoozed, back again; and edits approved in one go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.failures.cases import wake_due
from deliveries.models import Delivery, FailureGroup
from deliveries.resolution import edit_delivery
from integrations.foundation.audit import Actor
from notifications import personal
from tests.e2e.desk.conftest import picture
from tests.e2e.desk.morning import SmsApp, failing_morning
from tests.factories import UserFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def morning(receiver: Any, running: Callable[..., int]) -> Any:
    receiver.script(SmsApp())
    made = failing_morning(receiver.url(""), 5)
    running()
    return made


def test_a_case_is_handed_over_commented_snoozed_and_comes_back(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int]
) -> None:
    case = FailureGroup.objects.order_by("-occurrences").first()
    assert case is not None
    manager = visit("Manager", name="max")
    page = visit("Operator", name="olga")
    page.locator(".desk-nav").get_by_role("link", name="Cases").click()
    page.locator(f"a.what[href*='/{case.pk}/change/']").click()

    page.get_by_text("Hand to a manager…").click()
    page.get_by_label("What they should do").fill("Please look at the token.")
    page.get_by_role("button", name="Hand it over").click()
    page.get_by_text("The case is assigned to max now.").wait_for()
    page.get_by_label("Comment", exact=True).fill("The customer <b>waits</b>.")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_text("The customer <b>waits</b>.").wait_for()
    picture(page, "case")

    manager.goto("/admin/")
    manager.get_by_role("link", name="olga gave you the case").click()
    manager.get_by_text("Please look at the token.").wait_for()
    manager.get_by_text("Snooze…").click()
    manager.get_by_label("For", exact=True).select_option("4h")
    manager.get_by_role("button", name="Snooze", exact=True).click()
    manager.get_by_text("Snoozed. Nobody is notified until then.").wait_for()
    manager.locator(".desk-nav").get_by_role("link", name="Cases").click()
    assert manager.locator(f"a.what[href*='/{case.pk}/change/']").count() == 0
    manager.get_by_role("link", name="Snoozed").click()
    manager.locator(f"a.what[href*='/{case.pk}/change/']").wait_for()

    wake_due(timezone.now() + timedelta(hours=5))
    manager.goto("/admin/")
    manager.get_by_role("link", name="is no longer snoozed and is still open").click()
    manager.get_by_role("button", name="Mark as resolved").click()
    manager.get_by_text("Marked as resolved.").wait_for()
    Delivery.objects.filter(failure_group=case).update(status="pending", due_at=timezone.now(), finished_at=None)
    running()
    manager.goto("/admin/")
    manager.get_by_role("link", name="came back after it was resolved").wait_for()
    manager.goto("/admin/deliveries/failuregroup/?tab=returned")
    manager.locator(f"a.what[href*='/{case.pk}/change/']").wait_for()
    picture(manager, "cases")


def test_edits_that_wait_are_approved_in_one_go(
    visit: Callable[..., Any], morning: Any, running: Callable[..., int]
) -> None:
    morning.store.is_approval_required = True
    morning.store.save()
    olga = UserFactory(username="olga")
    for delivery in Delivery.objects.filter(status="failed"):
        payload = {**delivery.event.data, "note": "checked"}
        edit_delivery(delivery=delivery, payload=payload, actor=Actor.of_user(olga), reason="number checked")
    personal.tell_approvers(timezone.now())
    waiting = Delivery.objects.filter(status="failed").count()
    page = visit("Manager", name="max")
    page.get_by_role("link", name=f"{waiting} changes await approval").click()
    page.get_by_text("“number checked”").first.wait_for()
    picture(page, "approvals")
    while page.get_by_role("button", name="Approve and send").count():
        page.get_by_role("button", name="Approve and send").first.click()
        page.get_by_text("approved and being sent").wait_for()
    page.get_by_text("Nothing awaits approval.").wait_for()
    assert Delivery.objects.filter(status="pending", revision=1).count() == waiting
