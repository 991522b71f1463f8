"""A topic's condition is tried on what objects really were before and after their pushes."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from deliveries.models import Event, Simulation, SourceEvent
from deliveries.simulation import runner
from tests.api_client import ApiClient
from tests.doors.world import make_person
from tests.factories import EventFactory, SourceFactory, TopicFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("queued")]
PAID = "old.status != 'paid' && new.status == 'paid'"


@pytest.fixture
def client() -> ApiClient:
    return ApiClient()


@pytest.fixture
def topic(client: ApiClient) -> Any:
    return TopicFactory(store=client.store, name="order.paid", condition="")


def push(client: ApiClient, order: str, **data: Any) -> None:
    assert client.post("push", {"orders": [{"id": order, **data}]}).status_code == 202


def simulated(client: ApiClient, **body: Any) -> dict[str, Any]:
    answer = client.post("topics/order.paid/simulate", body)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_the_changes_that_would_emit_the_topic_are_newly_matched(client: ApiClient, topic: Any) -> None:
    push(client, "1", status="open")
    push(client, "1", status="paid")
    push(client, "1", note="thanks")
    push(client, "2", status="paid")
    push(client, "3", status="open")
    client.post("push", {"shipments": [{"id": "1", "status": "paid"}]})

    found = simulated(client, condition=PAID)
    assert (found["looked_at"], found["passed_over"]) == (5, 1)
    assert (found["newly_matched"]["count"], found["unwanted"], found["same"]) == (2, 3, 0)
    paid = {(one["topic"], one["object"]["id"]) for one in found["newly_matched"]["sample"]}
    assert paid == {("order.updated", "1"), ("order.created", "2")}
    assert not Event.objects.filter(topic="order.paid").exists()


def test_a_condition_is_compared_with_the_one_that_holds_today(client: ApiClient, topic: Any) -> None:
    topic.condition = PAID
    topic.save()
    push(client, "1", status="open")
    push(client, "1", status="paid", total=5)
    push(client, "2", status="paid", total=500)

    found = simulated(client, condition=f"{PAID} && new.total > `100`")
    counts = {name: found[name]["count"] for name in ("newly_matched", "no_longer_matched")}
    assert (counts, found["same"], found["unwanted"]) == ({"newly_matched": 0, "no_longer_matched": 1}, 1, 1)


def test_what_the_new_event_would_violate_is_said_because_it_would_refuse_the_push(
    client: ApiClient, topic: Any
) -> None:
    push(client, "1", status="paid")
    found = simulated(client, condition="new.status == 'paid'", schema={"required": ["total"]})
    assert (found["newly_matched"]["count"], found["violations"]["count"]) == (1, 1)
    assert found["violations"]["groups"] == [{"kind": "new: the data: <value> is a required property", "count": 1}]


def test_without_what_the_object_was_nobody_can_tell(client: ApiClient, topic: Any) -> None:
    push(client, "1", status="open")
    push(client, "1", status="paid")
    Event.objects.filter(topic="order.created").delete()
    push(client, "1", status="shipped")

    found = simulated(client, condition=PAID)
    assert (found["unknown"]["count"], found["unwanted"], found["newly_matched"]["count"]) == (1, 1, 0)
    assert found["unknown"]["groups"][0]["kind"] == "what the object was before is not kept"


def test_events_that_change_no_record_do_not_count(client: ApiClient, topic: Any) -> None:
    push(client, "1", status="open")
    client.post("events", {"topic": "order.updated", "data": {"id": "1", "status": "paid"}})
    push(client, "1", note="still open")
    mapped = EventFactory(store=client.store, topic="order.updated", object_type="order", origin="source")
    SourceEvent.objects.create(event_id=mapped.pk, source=SourceFactory(store=client.store, mode="event"))

    found = simulated(client, condition=PAID)
    assert (found["unwanted"], found["newly_matched"]["count"], found["unknown"]["count"]) == (4, 0, 0)


def test_a_condition_that_does_not_fit_the_data_is_not_true(client: ApiClient, topic: Any) -> None:
    push(client, "1", status="open")
    found = simulated(client, condition="contains(old.tags, 'x')")
    assert (found["unwanted"], found["errors"]["count"]) == (1, 0)


def test_where_only_the_schema_changes_only_the_topics_own_events_are_looked_at(client: ApiClient, topic: Any) -> None:
    topic.condition = "new.status == 'paid'"
    topic.save()
    push(client, "1", status="open")
    push(client, "1", status="paid")
    found = simulated(client, schema={"required": ["total"]})
    assert (found["looked_at"], found["violations"]["count"]) == (1, 1)


def test_the_desk_shows_the_change_behind_it_and_the_condition_is_saved(client: ApiClient, topic: Any) -> None:
    push(client, "1", status="open", note="before")
    push(client, "1", status="paid", note="after")
    simulated(client, condition=PAID, background=True)
    simulation = Simulation.objects.get()
    assert runner.run(simulation.pk)
    browser = Client()
    browser.force_login(make_person("Manager", [client.store]))
    base = f"/admin/deliveries/simulation/{simulation.pk}"
    assert "Newly matched" in browser.get(f"{base}/change/").content.decode()
    page = browser.get(f"{base}/item/{simulation.items.get().number}/").content.decode()
    assert "the object before" in page
    assert "order.paid is" in page
    assert client.post(f"simulations/{simulation.public_id}/save", {}).status_code == 200
    push(client, "2", status="paid")
    assert Event.objects.get(topic="order.paid").object_id == "2"
