"""An outage in a browser: the token is put right, one delivery proves it, and everything else follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, FailureGroup, Replay
from deliveries.replay import step
from integrations.models import Integration
from tests.e2e.desk.conftest import picture
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Exchange, Receiver, answer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

TOKEN = "the-new-token"


class Erp:
    """Refuses every token but the new one, in two ways; what it gets then, it takes."""

    def __init__(self) -> None:
        self.refuses_all = False

    def __call__(self, exchange: Exchange) -> bool:
        if exchange.request.header("Authorization") == f"Bearer {TOKEN}" and not self.refuses_all:
            return answer(200, b"{}")(exchange)
        if b"product" in exchange.request.body:
            return answer(404, b'{"error":"unknown tenant"}')(exchange)
        return answer(401, b'{"error":"token expired"}')(exchange)


@pytest.fixture
def erp(receiver: Receiver, running: Callable[[], None]) -> tuple[Integration, Erp]:
    """34 orders were refused with 401 and 6 products with 404."""
    app = Erp()
    receiver.script(app)
    integration = IntegrationFactory(
        name="ERP", slug="erp", url=receiver.url(""), retry_policy="none", auth_type="bearer", token="the-old-token"
    )
    subscription = SubscriptionFactory(integration=integration, topics=["*"])
    for number in range(40):
        kind = "order" if number < 34 else "product"
        data = {"id": str(number), "kind": kind, "total": 7}
        event = EventFactory(
            store=integration.store, topic=f"{kind}.updated", object_type=kind, object_id=str(4_700 + number), data=data
        )
        DeliveryFactory(subscription=subscription, event=event)
    running()
    assert FailureGroup.objects.filter(status="open").count() == 2
    return integration, app


def work_off(running: Callable[[], None]) -> Replay:
    """The task and the engine, as fast as they can."""
    replay = Replay.objects.get()
    now = timezone.now()
    for _ in range(60):
        if step(replay.pk, now).is_over:
            break
        running()
        now += timedelta(seconds=1)
    running()  # what the last step made due
    replay.refresh_from_db()
    return replay


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_from_the_integration_to_everything_delivered_in_two_clicks(
    visit: Callable[..., Any], erp: Any, running: Callable[[], None], theme: str, width: int
) -> None:
    integration, _ = erp
    page = visit("Manager", theme=theme, width=width, name="mia")
    page.goto(f"/admin/integrations/integration/{integration.pk}/change/")
    page.get_by_text("40 deliveries have not arrived").wait_for()
    shot(page, "outage-1-integration", theme, width)
    page.locator("[name=token]").fill(TOKEN)
    page.get_by_role("button", name="Save and test with a failed delivery").click()

    page.locator("#content").get_by_text("Sending order.updated").wait_for()
    running()
    page.locator("#content").get_by_text("It works.").wait_for()  # without reloading
    assert page.get_by_role("button", name="Resend 39 deliveries").is_visible()
    page.locator("input[name=group]").last.uncheck()
    assert page.get_by_role("button", name="Resend 33 deliveries").is_visible()
    page.locator("input[name=group]").last.check()
    shot(page, "outage-2-resend", theme, width)
    page.get_by_role("button", name="Resend 39 deliveries").click()

    page.wait_for_url("**/change/")
    assert work_off(running).status == "done"
    page.get_by_text("39 of 39", exact=True).wait_for()
    page.locator(".pill", has_text="done").first.wait_for()
    shot(page, "outage-3-watch", theme, width)
    assert Delivery.objects.filter(status="succeeded").count() == 40
    assert FailureGroup.objects.filter(status="open").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_that_goes_down_again_stops_the_resend_which_says_so_and_goes_on(
    visit: Callable[..., Any], erp: Any, running: Callable[[], None], theme: str
) -> None:
    integration, app = erp
    app.refuses_all = True
    page = visit("Manager", theme=theme)
    page.goto(f"/admin/integrations/integration/{integration.pk}/change/")
    page.get_by_role("link", name="Resend without a change").click()
    shot(page, "outage-4-untested", theme)
    page.get_by_role("button", name="Send one now").click()
    page.wait_for_url("**/repair/**tested=**")
    running()
    page.locator("#content").get_by_text("It failed again").wait_for()
    shot(page, "outage-5-test-failed", theme)
    page.get_by_role("button", name="Resend").click()
    page.wait_for_url("**/change/")
    page.get_by_text("The first one was sent").wait_for()
    assert work_off(running).status == "paused"
    page.locator("#content").get_by_text("It stopped by itself: 1 of 1 failed again").wait_for()
    shot(page, "outage-6-stopped", theme)

    page.goto("/admin/notifications/notification/")
    page.get_by_text("A bulk resend stopped by itself").first.wait_for()

    app.refuses_all = False
    page.goto(f"/admin/integrations/integration/{integration.pk}/change/")
    page.locator("[name=token]").fill(TOKEN)
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"/admin/deliveries/replay/{Replay.objects.get().pk}/change/")
    page.get_by_role("button", name="Resume").click()
    assert work_off(running).status == "done"
    page.locator(".pill", has_text="done").first.wait_for()


def shot(page: Any, name: str, theme: str, width: int = 1280) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    picture(page, f"{name}-{theme}" if width == 1280 else f"{name}-{width}")
