"""The time machine and versions in the desk: from the form to the result, what is saved, and who may."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from deliveries.models import Delivery, Replay, Simulation
from deliveries.replay import runner as replays
from deliveries.simulation import runner
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import uuid7
from subscriptions.models import SubscriptionVersion
from subscriptions.services import create_subscription, update_subscription
from tests.doors.world import make_person
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    StoreFactory,
    TopicFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]

ADA = Actor(None, "ada")
BASE = "/admin/deliveries/simulation"


@pytest.fixture
def shop() -> Any:
    store = StoreFactory(name="Flower shop")
    sms = IntegrationFactory(store=store, name="Twilio SMS")
    return create_subscription(
        store=store, actor=ADA, integration=sms, topics=["shipment.*"], filter="status == 'ready'",
        transform="{phone: phone}", parameters={"api_key": "hush-hush"},
    )  # fmt: skip


def client(role: str, *stores: Any) -> Client:
    found = Client()
    found.force_login(make_person(role, list(stores)))
    return found


def form(shop: Any, **changes: Any) -> dict[str, Any]:
    values = {
        "integration": shop.integration_id, "topics": "shipment.*", "filter": shop.filter, "transform": shop.transform,
        "parameters": '{"api_key": "***"}', "is_active": "on",
    }  # fmt: skip
    return values | changes


def tried(browser: Client, shop: Any, **changes: Any) -> Simulation:
    """Submit the form with "Try on past events…", and let the runner run."""
    answer = browser.post(
        f"/admin/subscriptions/subscription/{shop.pk}/change/", form(shop, then="try", **changes), follow=True
    )
    assert answer.status_code == 200
    simulation = Simulation.objects.get()
    assert f"{BASE}/{simulation.pk}/change/" in answer.redirect_chain[-1][0]
    assert runner.run(simulation.pk)
    return simulation


def test_a_filter_is_corrected_looked_at_and_saved_with_what_was_missed(shop: Any) -> None:
    for number in range(3):
        EventFactory(store=shop.store, object_id=f"p-{number}", data={"status": "shipped", "phone": f"+4917{number}"})
    browser = client("Manager", shop.store)
    found = tried(browser, shop, filter="status == 'shipped'")
    shop.refresh_from_db()
    assert shop.filter == "status == 'ready'"
    page = browser.get(f"{BASE}/{found.pk}/change/").content.decode()
    assert "Newly matched" in page
    assert "status == &#x27;shipped&#x27;" in page
    assert "hush-hush" not in page
    item = browser.get(re.search(rf"{BASE}/{found.pk}/item/\d+/", page)[0]).content.decode()
    assert "– not sent." in item and "✓ sent." in item
    assert "hush-hush" not in item
    assert "3 newly matched" in browser.get(f"{BASE}/{found.pk}/save/?then=backfill").content.decode()
    answer = browser.post(f"{BASE}/{found.pk}/save/", {"then": "backfill", "canary_asked": "1"})
    replay = Replay.objects.get()
    assert answer["Location"] == f"/admin/deliveries/replay/{replay.pk}/change/"
    assert (replay.action, replay.total) == ("backfill", 3)
    shop.refresh_from_db()
    assert shop.filter == "status == 'shipped'"
    assert shop.parameters == {"api_key": "hush-hush"}


def test_a_transform_is_changed_and_exactly_what_differs_is_sent_again(shop: Any) -> None:
    for phone in ("+49171", "49172"):
        event = EventFactory(store=shop.store, data={"status": "ready", "phone": phone})
        DeliveryFactory(subscription=shop, event=event, status="succeeded")
    browser = client("Manager", shop.store)
    found = tried(browser, shop, transform="{phone: replace(phone, '+', '00')}")
    page = browser.get(f"{BASE}/{found.pk}/change/").content.decode()
    assert "body.data.phone changed" in page
    item = browser.get(re.search(rf"{BASE}/{found.pk}/item/\d+/", page)[0]).content.decode()
    assert "<del>+</del>49171" in item and "<ins>00</ins>49171" in item
    assert "Resend the 1 that differs" in browser.get(f"{BASE}/{found.pk}/save/").content.decode()
    refused = browser.post(f"{BASE}/{found.pk}/save/", {"then": "resend"}).content.decode()
    assert "Confirm by giving the number, 1." in refused
    assert not Replay.objects.exists()
    browser.post(f"{BASE}/{found.pk}/save/", {"then": "resend", "confirmed": "1"})
    replays.step(Replay.objects.get().pk, timezone.now())
    assert Delivery.objects.filter(status="pending").count() == 1
    assert "saved already" in browser.post(f"{BASE}/{found.pk}/save/", {"then": "save"}).content.decode()


def test_other_events_are_chosen_by_search_and_by_period(shop: Any) -> None:
    old = timezone.now() - timedelta(days=3)
    one = EventFactory(
        id=uuid7(int(old.timestamp() * 1000)),
        store=shop.store,
        occurred_at=old,
        object_id="p-9",
        data={"status": "ready"},
    )
    browser = client("Manager", shop.store)
    found = tried(browser, shop, filter="")
    for given in ({"which": "find", "find": one.public_id}, {"which": "find", "find": "p-9"}):
        browser.post(f"{BASE}/{found.pk}/again/", given)
        assert Simulation.objects.first().events == {"ids": [str(one.pk)]}
    browser.post(f"{BASE}/{found.pk}/again/", {"which": "period", "since": f"{old.date()}T00:00", "until": ""})
    assert "since" in Simulation.objects.first().events
    answer = browser.post(f"{BASE}/{found.pk}/again/", {"which": "find", "find": "nothing of the kind"}, follow=True)
    assert "No event was found." in answer.content.decode()


def test_a_wire_format_and_a_schema_are_tried_from_their_forms(shop: Any) -> None:
    EventFactory(store=shop.store, data={"status": "ready"})
    browser = client("Manager", shop.store)
    row = shop.integration
    page = f"/admin/integrations/integration/{row.pk}/change/?kind=flat"
    assert "form above is that of the chosen format" in browser.get(page).content.decode()
    given = {
        "name": row.name,
        "url": row.url,
        "auth_type": "none",
        "slug": row.slug,
        "timeout": "30",
        "max_in_flight": 8,
    }
    browser.post(page, given | {"then": "try"}, follow=True)
    found = Simulation.objects.get()
    assert runner.run(found.pk)
    found.refresh_from_db()
    assert (found.kind, found.counts, found.changes["wire_format"]) == (
        "integration",
        {"changed": 1},
        ["standard", "flat"],
    )
    row.refresh_from_db()
    assert row.wire_format == "standard"
    topic = TopicFactory(store=shop.store, name="shipment.updated")
    given = {"name": topic.name, "schema": '{"required": ["weight"]}', "then": "try"}
    browser.post(f"/admin/subscriptions/topic/{topic.pk}/change/", given, follow=True)
    found = Simulation.objects.first()
    assert runner.run(found.pk)
    found.refresh_from_db()
    assert (found.kind, found.counts) == ("topic", {"same": 1, "violation": 1})
    topic.refresh_from_db()
    assert topic.schema is None
    item = browser.get(f"{BASE}/{found.pk}/item/{found.items.get().number}/").content.decode()
    assert "weight" in item


def test_an_invalid_form_is_shown_again_and_nothing_runs(shop: Any) -> None:
    browser = client("Manager", shop.store)
    page = browser.post(f"/admin/subscriptions/subscription/{shop.pk}/change/", form(shop, then="try", filter="a =="))
    assert page.status_code == 200
    assert "errorlist" in page.content.decode()
    assert not Simulation.objects.exists()


def test_an_operator_may_try_but_not_save_a_viewer_may_look_and_others_see_nothing(shop: Any) -> None:
    EventFactory(store=shop.store, data={"status": "shipped"})
    operator = client("Operator", shop.store)
    found = tried(operator, shop, filter="status == 'shipped'")
    viewer, stranger = client("Viewer", shop.store), client("Manager", StoreFactory())
    assert "Save…" not in operator.get(f"{BASE}/{found.pk}/change/").content.decode()
    assert operator.post(f"{BASE}/{found.pk}/save/", {"then": "save"}).status_code == 403
    assert "Newly matched" in viewer.get(f"{BASE}/{found.pk}/change/").content.decode()
    assert viewer.post(f"{BASE}/{found.pk}/again/", {"last": "10"}).status_code == 403
    for address in ("change", "live", "group", "save", f"item/{found.items.get().number}"):
        assert stranger.get(f"{BASE}/{found.pk}/{address}/").status_code == 404
    assert stranger.post(f"{BASE}/of/subscription/{shop.pk}/", form(shop, filter="")).status_code == 404
    assert Simulation.objects.count() == 1


def test_the_preview_begins_with_the_subscriptions_own_last_event_and_takes_any_other(shop: Any) -> None:
    own, other = (
        EventFactory(store=shop.store, object_id=name, data={"status": "ready"}) for name in ("own-1", "other-2")
    )
    DeliveryFactory(subscription=shop, event=own)
    browser = client("Manager", shop.store)
    address = "/admin/deliveries/delivery/preview/"
    given = form(shop, subscription=str(shop.pk))
    assert "own-1" in browser.post(address, given).content.decode().split("other events")[0]
    assert "other-2" in browser.post(address, given | {"event": other.public_id}).content.decode()
    assert "No event of Flower shop" in browser.post(address, given | {"event": "evt_none"}).content.decode()


def test_versions_are_listed_compared_and_put_back(shop: Any) -> None:
    SubscriptionVersion.objects.update(since=timezone.now() - timedelta(days=2))
    update_subscription(subscription=shop, actor=ADA, filter="status == 'lost'")
    update_subscription(subscription=shop, actor=ADA, topics=["order.*"])
    browser = client("Manager", shop.store)
    address = f"/admin/subscriptions/subscription/{shop.pk}/versions/"
    page = browser.get(f"{address}?left=1&right=3").content.decode()
    assert page.count("version 3") >= 2
    assert "<del>" in page and "lost" in page
    assert "Put version 1 back" in browser.get(f"{address}1/back/").content.decode()
    browser.post(f"{address}1/back/", {"then": "try"}, follow=True)
    assert Simulation.objects.get().changes["topics"] == [["order.*"], ["shipment.*"]]
    browser.post(f"{address}1/back/")
    shop.refresh_from_db()
    assert (shop.filter, shop.topics, shop.parameters) == (
        "status == 'ready'",
        ["shipment.*"],
        {"api_key": "hush-hush"},
    )
    assert SubscriptionVersion.objects.count() == 4
    assert client("Operator", shop.store).post(f"{address}2/back/").status_code == 403
    assert browser.get(f"{address}9/back/").status_code == 404


def test_a_delivery_and_each_attempt_say_which_version_made_them(shop: Any) -> None:
    ago = timezone.now() - timedelta(hours=2)
    SubscriptionVersion.objects.update(since=ago)
    delivery = DeliveryFactory(
        subscription=shop, created_at=ago + timedelta(minutes=1), status="failed", attempt_count=2
    )
    then = ago + timedelta(minutes=2)
    AttemptFactory(id=uuid7(int(then.timestamp() * 1000)), delivery=delivery, number=1, started_at=then)
    update_subscription(subscription=shop, actor=ADA, transform="{id: id}")
    now = timezone.now() + timedelta(minutes=1)
    AttemptFactory(id=uuid7(int(now.timestamp() * 1000)), delivery=delivery, number=2, started_at=now)
    page = client("Viewer", shop.store).get(f"/admin/deliveries/delivery/{delivery.pk}/change/").content.decode()
    shown = re.findall(r'created it">(version \d[^<]*)<', page)
    assert shown == ["version 2", "version 1"]
    assert f'/admin/subscriptions/subscription/{shop.pk}/versions/">version 1</a>' in page
