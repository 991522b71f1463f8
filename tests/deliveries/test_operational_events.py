"""What happens to deliveries, integrations, cases and recipes, as events that any subscription may take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.failures.groups import reopen_group, resolve_group
from deliveries.models import Delivery, Event, FailureGroup, OperationalEvent
from deliveries.operational import outbox
from deliveries.operational.publishing import publish_noted
from integrations.foundation.audit import HOOKDESK
from integrations.models import Integration
from integrations.services import disable_integration, enable_integration, update_integration
from subscriptions.matching import Interest, SubscriptionIndex
from tests.api_client import ApiClient, only_error
from tests.factories import IntegrationFactory, StoreFactory, SubscriptionFactory, UserFactory
from tests.receiver import answer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_noted_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_bound", outbox._Bound())


class Shop:
    """A store with a shop that wants orders, and a monitor that wants what happens."""

    def __init__(self, receiver: Any, wanted: tuple[str, ...] = ("hookdesk.*",)) -> None:
        self.client = ApiClient()
        named = {"store": self.client.store, "retry_policy": [], "permanent_statuses": [422]}
        self.shop = IntegrationFactory(slug="shop", url=receiver.url("/shop"), **named)
        self.monitor = IntegrationFactory(slug="monitor", url=receiver.url("/monitor"), **named)
        self.orders = SubscriptionFactory(integration=self.shop, topics=["order"])
        self.watch = SubscriptionFactory(integration=self.monitor, topics=list(wanted))

    def watch_only(self, topic: str) -> None:
        self.watch.topics = [topic]
        self.watch.save()

    def push(self, number: int = 1) -> None:
        for _ in range(number):
            assert self.client.post("events", {"topic": "order.lost", "data": {"id": "7"}}).status_code == 202

    def published(self) -> list[tuple[str, dict[str, Any]]]:
        """Publish what was noted; all operational events so far."""
        while OperationalEvent.objects.exists():
            publish_noted(timezone.now())
        rows = Event.objects.filter(origin="hookdesk").order_by("id")
        return [(row.topic or "", row.data) for row in rows]

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.published()]


@pytest.fixture
def shop(receiver: Any) -> Shop:
    """All requests are refused."""
    receiver.script(answer(422, b"no such sku"))
    return Shop(receiver)


def only_the_shop_fails(exchange: Any) -> bool:
    return answer(422 if exchange.request.target == "/shop" else 200, b"no such sku")(exchange)


def test_a_delivery_that_fails_for_good_is_published_with_its_case_and_delivered(shop, receiver, deliver):
    receiver.script(only_the_shop_fails)
    shop.push()
    deliver()
    found = dict(shop.published())
    delivery, case = Delivery.objects.get(topic="order.lost"), FailureGroup.objects.get()
    data = found["hookdesk.delivery.failed"]
    assert data.pop("reason")
    assert data == {
        "store": str(shop.client.store.id),
        "integration": "shop",
        "delivery": f"dlv_{delivery.id.hex}",
        "subscription": f"nsub_{shop.orders.id}",
        "topic": "order.lost",
        "status": "failed",
        "last_status": 422,
        "case": f"case_{case.pk}",
    }
    opened = found["hookdesk.case.opened"]
    assert (opened["case"], opened["integration"], opened["status"]) == (f"case_{case.pk}", "shop", "open")
    deliver()
    assert Delivery.objects.filter(integration=shop.monitor, status="succeeded").count() == 2
    assert FailureGroup.objects.count() == 1


def test_a_failed_attempt_that_will_be_retried_is_none(shop, deliver):
    Integration.objects.update(retry_policy=[60], permanent_statuses=[])
    shop.push()
    deliver()
    assert shop.topics() == ["hookdesk.case.opened"]


def test_about_deliveries_of_operational_events_there_are_none(shop, deliver):
    """The monitor refuses all of them, and a case is opened; nobody is told by an event."""
    shop.push()
    deliver()
    before = shop.topics()
    for _ in range(3):
        deliver()
        assert shop.topics() == before
    assert Delivery.objects.filter(integration=shop.monitor, status="failed").count() == 2
    for case in FailureGroup.objects.filter(integration=shop.monitor):
        assert resolve_group(group=case, actor=HOOKDESK)
    assert shop.topics() == before


def test_an_integration_that_one_of_them_disables_is_not_published(shop, receiver, deliver):
    receiver.script(lambda exchange: answer(422 if exchange.request.target == "/shop" else 410)(exchange))
    shop.push()
    deliver()
    before = shop.topics()
    deliver()
    assert not Integration.objects.get(slug="monitor").is_enabled
    assert shop.topics() == before


def test_cases_are_published_each_time_that_they_open_and_close(shop, receiver, deliver):
    receiver.script(only_the_shop_fails)
    shop.watch_only("hookdesk.case.*")
    shop.push(2)
    deliver()
    case = FailureGroup.objects.get()
    assert shop.topics() == ["hookdesk.case.opened"]
    resolve_group(group=case, actor=HOOKDESK)
    reopen_group(group=case, actor=HOOKDESK)
    resolve_group(group=case, actor=HOOKDESK)
    shop.push()
    deliver(later=timedelta(seconds=5))
    found = [topic.rpartition(".")[2] for topic in shop.topics()]
    assert found == ["opened", "resolved", "opened", "resolved", "opened"]
    assert {data["case"] for _, data in shop.published()} == {f"case_{case.pk}"}


def test_integrations_are_published_when_they_are_switched(shop):
    disable_integration(integration=shop.shop, reason="It is gone.")
    assert not disable_integration(integration=shop.shop, reason="It is gone.")
    enable_integration(integration=shop.shop, actor=HOOKDESK)
    update_integration(integration=shop.shop, actor=HOOKDESK, is_enabled=False)
    update_integration(integration=shop.shop, actor=HOOKDESK, name="Another")
    found = shop.published()
    assert [(topic, data["status"]) for topic, data in found] == [
        ("hookdesk.integration.disabled", "disabled"),
        ("hookdesk.integration.enabled", "enabled"),
        ("hookdesk.integration.disabled", "disabled"),
    ]
    store = str(shop.client.store.id)
    assert found[0][1] == {"store": store, "integration": "shop", "status": "disabled", "reason": "It is gone."}


def test_recipes_are_published_when_they_stop(shop, deliver):
    from deliveries.recipes.keeping import keep_recipe, switch_off

    shop.push()
    deliver()
    case = FailureGroup.objects.get(integration=shop.shop)
    recipe = keep_recipe(group=case, topic="order.lost", place="/sku", rules=[{"rule": "trim"}], actor=HOOKDESK)
    switch_off(recipe=recipe, actor=HOOKDESK, reason="It fails.")
    topic, data = shop.published()[-1]
    assert topic == "hookdesk.recipe.stopped"
    assert (data["integration"], data["topic"], data["reason"]) == ("shop", "order.lost", "It fails.")
    assert data["recipe"] == f"rcp_{recipe.pk.hex}"


@pytest.mark.parametrize("wanted", ["*", "order", "all"])
def test_without_a_subscription_that_takes_them_nothing_is_kept(receiver, deliver, wanted):
    receiver.script(answer(422))
    shop = Shop(receiver, (wanted,))
    shop.push()
    deliver()
    assert Delivery.objects.filter(status="failed").exists()
    assert not OperationalEvent.objects.exists()


def test_other_stores_learn_nothing(shop, deliver):
    other = SubscriptionFactory(integration=IntegrationFactory(store=StoreFactory()), topics=["hookdesk"])
    shop.push()
    deliver()
    assert shop.published()
    assert not Delivery.objects.filter(subscription=other).exists()


def test_a_flood_is_bounded_and_says_how_many_were_left_out(shop, receiver, deliver, monkeypatch):
    receiver.script(only_the_shop_fails)
    monkeypatch.setattr(outbox, "MOST_A_SECOND", 3)
    monkeypatch.setattr(outbox, "_second", lambda: 100)
    shop.watch_only("hookdesk.delivery.failed")
    shop.push(8)
    deliver()
    assert shop.topics() == ["hookdesk.delivery.failed"] * 3
    monkeypatch.setattr(outbox, "_second", lambda: 101)
    shop.push()
    deliver(later=timedelta(seconds=5))
    assert [data.get("omitted") for _, data in shop.published()] == [None, None, None, 5]


def test_a_row_of_which_no_event_can_be_made_stops_no_other(shop):
    def note(topic: str, reference: str) -> None:
        OperationalEvent.objects.create(
            store=shop.client.store, topic=topic, reference=reference, created_at=timezone.now()
        )

    note("hookdesk.integration.disabled", "no number")
    note("hookdesk.delivery.failed", "0" * 32)  # deleted meanwhile
    note("hookdesk.of.another.version", "1")
    note("hookdesk.integration.disabled", str(shop.shop.pk))
    assert shop.topics() == ["hookdesk.integration.disabled"]


def test_an_error_while_noting_leaves_the_delivery_recorded(shop, deliver, monkeypatch):
    monkeypatch.setattr(outbox, "is_wanted", lambda *_: 1 / 0)
    shop.push()
    deliver()
    assert Delivery.objects.get(topic="order.lost").status == "failed"
    assert not OperationalEvent.objects.exists()


def test_whoever_makes_a_subscription_is_offered_them(client):
    client.force_login(UserFactory())
    SubscriptionFactory()
    page = client.get("/admin/subscriptions/subscription/add/").content.decode()
    assert '<option value="hookdesk.case.opened">' in page


class TestTopics:
    """Those that begin with `hookdesk.` are ours."""

    @pytest.mark.parametrize(
        ("pattern", "is_taken"),
        [
            ("*", False), ("all", False), ("hookdesk.*", True), ("hookdesk", True), ("hookdesk.delivery.*", True),
            ("hookdesk.delivery.failed", True), ("hookdesk.case.*", False), ("delivery", False),
        ],
    )  # fmt: skip
    def test_patterns(self, pattern, is_taken):
        index = SubscriptionIndex([(Interest((pattern,)), "it")])
        assert bool(index.matching("hookdesk.delivery.failed", None, {})) is is_taken

    @pytest.mark.parametrize("topic", ["hookdesk.delivery.failed", "hookdesk.mine", "Hookdesk.mine", "hookdesks.mine"])
    def test_programs_may_not_publish_them(self, topic):
        response = ApiClient().post("events", {"topic": topic, "data": {}})
        assert response.status_code == 400
        error = only_error(response)
        assert (error["field"], error["code"]) == ("topic", "parameter_invalid")
        assert "Hookdesk's own" in error["message"]

    def test_nor_push_objects_of_that_type_nor_declare_such_a_topic(self):
        client = ApiClient()
        assert only_error(client.post("push", {"hookdesks": [{"id": "1"}]}))["field"] == "hookdesks"
        response = client.post("topics", {"name": "hookdesk.mine"})
        assert "Hookdesk's own" in only_error(response)["message"]
