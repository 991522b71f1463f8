"""Receivers whose answers change the records that they were sent: loops end, and staff are told."""

import json
from itertools import count

import pytest
from django.utils import timezone

from deliveries.ingest.push_back import Answer, plan_push_back, write_push_back
from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Delivery, Event, Record
from deliveries.storage.locks import lock_order_keys
from integrations.foundation.identifiers import uuid7
from notifications.models import Notification
from tests.api_client import ApiClient, only_error
from tests.factories import EventFactory, IntegrationFactory, StoreFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

HOPS = "X-Hookdesk-Hops"


def answering(make):
    """A receiver of hub format that answers with what `make(body)` gives, beside the request's id."""

    def behave(exchange):
        body = json.loads(exchange.request.body)
        said = json.dumps({"request_id": body.get("request_id"), **make(body)}).encode()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
        return True

    return behave


def hub(receiver, store, path="/hook", **subscription):
    integration = IntegrationFactory(store=store, url=receiver.url(path), wire_format="hub", max_in_flight=50)
    return SubscriptionFactory(**{"integration": integration, "topics": ["order.*"]} | subscription)


@pytest.fixture
def deliver(deliver):
    """What an answer brings is due a moment after the claim that is made with it: again until nothing is sent."""

    def until_nothing_is_sent():
        while deliver():
            pass

    return until_nothing_is_sent


@pytest.fixture
def client():
    return ApiClient()


def push(client, *ids, **headers):
    assert client.call("POST", "push", {"orders": [{"id": i, "n": 0} for i in ids]}, **headers).status_code == 202


class TestHops:
    @pytest.fixture
    def ping_pong(self, receiver, client):
        """Two receivers that change the order whenever they are told of it."""
        numbers = count(1)
        receiver.script(answering(lambda body: {"orders": [{"id": body["order"]["id"], "n": next(numbers)}]}))
        return [hub(receiver, client.store), hub(receiver, client.store)]

    @pytest.mark.parametrize("limit", [0, 1, 3, 8])
    def test_two_receivers_that_answer_each_other_stop_at_the_limit(
        self, settings, receiver, deliver, client, ping_pong, limit
    ):
        settings.HOP_LIMIT = limit
        push(client, "1")
        deliver()
        # The push goes to both, and each of the two begins a chain of its own.
        assert len(receiver.requests) == 2 + 2 * limit
        stopped = Event.objects.filter(is_stopped=True)
        assert {event.hops for event in stopped} == {limit + 1}
        # The two chains run side by side: either may be the last.
        assert Record.objects.get().data in [event.data for event in stopped], (
            "what is not sent on is stored all the same"
        )

    def test_staff_are_told_once_for_each_integration_with_cause_and_place(self, receiver, deliver, client, ping_pong):
        for number in range(3):
            push(client, str(number))
        deliver()
        told = Notification.objects.filter(key__startswith="loop:")
        assert {n.integration_id for n in told} == {s.integration_id for s in ping_pong}
        assert told.count() == 2
        for notification in told:
            assert (notification.level, notification.status) == ("error", "open")
            assert notification.integration.name in notification.summary
            assert "order" in notification.summary and "HOP_LIMIT" in notification.summary

    def test_each_request_beyond_the_first_says_how_far_it_came(self, receiver, deliver, client, ping_pong):
        push(client, "1")
        deliver()
        assert sorted(int(r.header(HOPS) or 0) for r in receiver.requests) == sorted([*range(9), *range(9)])
        assert [r.header(HOPS) for r in receiver.requests[:2]] == [None, None]

    def test_an_answer_that_nobody_asked_for_is_not_called_a_loop(self, settings, receiver, deliver, client):
        settings.HOP_LIMIT = 0
        receiver.script(answering(lambda body: {"invoices": [{"id": "9"}]}))
        hub(receiver, client.store)
        push(client, "1")
        deliver()
        assert not Event.objects.filter(is_stopped=True).exists()
        assert not Notification.objects.filter(key__startswith="loop:").exists()

    def test_the_page_and_the_api_say_that_it_was_stopped(
        self, settings, receiver, deliver, client, ping_pong, admin_client
    ):
        settings.HOP_LIMIT = 2
        push(client, "1")
        deliver()
        event = Event.objects.filter(is_stopped=True).first()
        shown = client.get(f"events/{event.public_id}").json()
        assert (shown["hops"], shown["deliveries"]) == (3, [])
        assert "3 hops" in shown["stopped"]
        page = admin_client.get(f"/admin/deliveries/event/{event.pk}/change/").content.decode()
        assert "Not forwarded" in page and "3 hops" in page
        sent = Event.objects.filter(hops=2).first()
        shown = client.get(f"events/{sent.public_id}").json()
        assert (shown["hops"], shown["stopped"], len(shown["deliveries"])) == (2, None, 1)


class TestPolls:
    def test_what_a_poll_brings_has_come_one_hop_and_counts_on_from_there(self, settings, receiver, deliver, client):
        settings.HOP_LIMIT = 2
        numbers = count(1)
        change = answering(lambda body: {"orders": [{"id": "1", "n": next(numbers)}]})
        receiver.script(change)
        hub(receiver, client.store)
        hub(receiver, client.store)
        hub(receiver, client.store, "/poll", topics=["nothing.*"], poll_every=60, next_poll_at=timezone.now())
        make_due_polls(timezone.now())
        deliver()
        hops = Event.objects.exclude(origin="poll").order_by("hops").values_list("hops", flat=True)
        assert (min(hops), max(hops)) == (1, 3)
        assert not Delivery.objects.filter(event__hops__gt=2).exists()


class TestFanOut:
    def test_new_objects_in_each_answer_end_by_the_number_that_one_push_may_cause(
        self, settings, receiver, deliver, client
    ):
        settings.CASCADE_LIMIT = 30
        fresh = count(1)
        receiver.script(answering(lambda body: {"orders": [{"id": f"new-{next(fresh)}"} for _ in range(4)]}))
        hub(receiver, client.store)
        hub(receiver, client.store)
        push(client, "1")
        deliver()
        # Two requests for the push; the answer to each may cause no more than the limit.
        assert 2 + 2 * 4 <= len(receiver.requests) <= 2 + 2 * 30
        assert Event.objects.filter(is_stopped=True).exists()
        assert "CASCADE_LIMIT" in Notification.objects.filter(key__startswith="loop:")[0].summary

    def test_many_receivers_that_answer_each_other_end_too(self, settings, receiver, deliver, client):
        settings.CASCADE_LIMIT = 20
        numbers = count(1)
        receiver.script(answering(lambda body: {"orders": [{"id": "1", "n": next(numbers)}]}))
        for _ in range(5):
            hub(receiver, client.store)
        push(client, "1")
        deliver()
        assert len(receiver.requests) <= 5 + 5 * 20

    def test_the_first_answer_is_sent_on_however_large_it_is(self, settings, receiver, deliver, client):
        settings.CASCADE_LIMIT = 5
        receiver.script(answering(lambda body: {"invoices": [{"id": i} for i in range(40)]}))
        hub(receiver, client.store)
        integration = IntegrationFactory(store=client.store, url=receiver.url("/books"))
        SubscriptionFactory(integration=integration, topics=["invoice.*"])
        push(client, "1")
        deliver()
        assert len(receiver.requests) == 1 + 40


class TestAnswersOfOneBatch:
    """They are written by one plan, and yet each has come as far, and may cost as much, as its own event says."""

    @pytest.fixture
    def answers(self, client):
        def make(**values):
            integration = IntegrationFactory(store=client.store)
            return Answer(
                **{"delivery_id": uuid7(), "integration_id": integration.id, "subscription_id": None} | values
            )

        return make

    @pytest.fixture
    def store_all(self, client):
        def store(*answers):
            planned = plan_push_back(client.store.id, answers)
            lock_order_keys(planned.plan.order_keys)
            return write_push_back(planned, planned.plan.order_keys)

        return store

    def test_each_has_its_own_hops_and_its_own_share(self, settings, client, receiver, answers, store_all):
        settings.HOP_LIMIT, settings.CASCADE_LIMIT = 3, 100
        for _ in range(2):
            hub(receiver, client.store)
        far = answers(pushed={"orders": [{"id": "far"}]}, hops=3, cascade_left=50)
        dear = answers(pushed={"orders": [{"id": "dear"}]}, hops=1, cascade_left=1)
        half = answers(pushed={"orders": [{"id": "half"}], "notes": [{"id": "n"}]}, hops=1, cascade_left=21)
        first = answers(pushed={"orders": [{"id": "first"}]}, hops=0, cascade_left=None)
        written = store_all(far, dear, half, first)
        found = {e.object_id: (e.hops, e.cascade_left, e.is_stopped, e.deliveries.count()) for e in Event.objects.all()}
        assert found == {
            "far": (4, None, True, 0),
            "dear": (2, None, True, 0),
            "half": (2, 4, False, 2),  # (21 // 2 - 2) // 2
            "n": (2, None, False, 0),
            "first": (1, 50, False, 2),
        }
        assert {id_: row.object_id for id_, row in written.stopped.items()} == {
            far.integration_id: "far",
            dear.integration_id: "dear",
        }
        assert Record.objects.count() == 5, "what is not sent on is stored all the same"

    def test_a_stopped_one_needs_no_order_key_and_one_after_it_merges_into_its_record(
        self, settings, client, receiver, answers, store_all
    ):
        settings.HOP_LIMIT = 3
        hub(receiver, client.store, is_ordered=True)
        far = answers(pushed={"orders": [{"id": "1", "far": True}]}, hops=3)
        assert not plan_push_back(client.store.id, [far]).plan.order_keys
        store_all(far, answers(pushed={"orders": [{"id": "1", "near": True}]}, hops=0))
        assert Record.objects.get().data == {"id": "1", "far": True, "near": True}
        assert Delivery.objects.get().event.hops == 1


class TestObjectsOfOneAnswer:
    def test_an_array_beyond_the_limit_is_left_out_as_a_whole_and_said(self, settings, receiver, deliver, client):
        settings.ANSWER_MAX_OBJECTS = 5
        make = {
            "invoices": [{"id": i} for i in range(4)],
            "refunds": [{"id": i} for i in range(2)],
            "notes": [{"id": 1}],
        }
        receiver.script(answering(lambda body: make | {"summary": "Booked"}))
        hub(receiver, client.store)
        push(client, "1")
        deliver()
        delivery = Delivery.objects.get()
        attempt = delivery.attempts.get()
        assert delivery.status == "succeeded"
        assert sorted(Record.objects.exclude(type="order").values_list("type", flat=True)) == ["invoice"] * 4 + ["note"]
        for text in (attempt.summary, Notification.objects.get(level="info").summary):
            assert "refunds (2)" in text and "5" in text and "Booked" in text

    def test_a_long_summary_does_not_hide_it(self, settings, receiver, deliver, client):
        settings.ANSWER_MAX_OBJECTS = 1
        receiver.script(answering(lambda body: {"summary": "x" * 500, "refunds": [{"id": i} for i in range(2)]}))
        hub(receiver, client.store)
        push(client, "1")
        deliver()
        assert "refunds (2)" in Delivery.objects.get(event__object_id="1").attempts.get().summary


class TestTheHeader:
    @pytest.mark.parametrize("path", ["push", "events"])
    def test_a_request_that_passes_it_on_is_one_hop_further(self, client, receiver, path):
        hub(receiver, client.store)
        body = {"orders": [{"id": "1"}]} if path == "push" else {"topic": "order.created", "data": {"id": "1"}}
        assert client.call("POST", path, body, **{HOPS: "4"}).status_code == 202
        assert (Event.objects.get().hops, Delivery.objects.count()) == (5, 1)

    @pytest.mark.parametrize("path", ["push", "events"])
    def test_past_the_limit_it_is_stored_and_not_sent_on(self, client, receiver, path):
        hub(receiver, client.store)
        body = {"orders": [{"id": "1"}]} if path == "push" else {"topic": "order.created", "data": {"id": "1"}}
        for _ in range(2):
            client.call("POST", path, body, **{HOPS: "8"})
        assert Event.objects.filter(hops=9, is_stopped=True).count() == (1 if path == "push" else 2)
        assert not Delivery.objects.exists()
        assert Notification.objects.get().key == "loop:push"

    def test_another_hookdesk_is_known_by_its_name(self, client):
        client.call("POST", "push", {"orders": [{"id": "1"}]}, **{"User-Agent": "Hookdesk/9.9"})
        assert Event.objects.get().hops == 1

    @pytest.mark.parametrize("value", ["", "-1", "1.5", "٣", "x", "99999", "1, 2"])
    def test_a_value_that_is_no_number_is_refused(self, client, value):
        response = client.call("POST", "push", {"orders": [{"id": "1"}]}, **{HOPS: value})
        assert response.status_code == 400
        assert only_error(response)["field"] == HOPS
        assert not Event.objects.exists()

    def test_a_push_without_it_has_come_no_hop(self, client):
        push(client, "1")
        event = Event.objects.get()
        assert (event.hops, event.is_stopped, event.cascade_left) == (0, False, None)


class TestOneEventByTheApi:
    def test_it_is_shown_exactly_so(self, client):
        event = EventFactory(store=client.store, object_id="7")
        body = client.get(f"events/{event.public_id}").json()
        moment = event.created_at.isoformat().replace("+00:00", "Z")
        assert body == {
            "id": event.public_id, "topic": "shipment.updated", "intent": None, "data": {"id": "7", "status": "sent"},
            "object": {"type": "shipment", "id": "7"}, "origin": "push", "source": None, "hops": 0, "stopped": None,
            "occurred_at": moment, "created_at": moment, "erased_at": None, "deliveries": [],
        }  # fmt: skip

    @pytest.mark.parametrize("odd", ["evt_x", "1", "evt_" + "0" * 32, "%00"])
    def test_an_id_of_nobody_or_of_another_store_is_404(self, client, odd):
        other = EventFactory(store=StoreFactory())
        assert client.get(f"events/{odd}").status_code == 404
        assert client.get(f"events/{other.public_id}").status_code == 404
