"""Pushing objects and events: what is stored, what is emitted, what is refused."""

import pytest

from deliveries.models import Delivery, Event, Record
from subscriptions.models import Subscription, Topic

PUSH, EVENTS = "/api/v1/push", "/api/v1/events"


def refused(response, status, code, field=None):
    assert response.status_code == status, response.content
    (error,) = response.json()["errors"]
    assert (error["code"], error.get("field")) == (code, field), error
    assert error["message"]
    assert not Event.objects.exists() and not Record.objects.exists(), "nothing may have been stored"


class TestPushingObjects:
    def test_a_new_object_becomes_a_record_and_a_created_event(self, post):
        response = post(PUSH, {"shipments": [{"id": "1", "status": "ready"}]})
        assert (response.status_code, response.json()) == (202, {"shipments": 1})
        assert Record.objects.get().data == {"id": "1", "status": "ready"}
        event = Event.objects.get()
        assert (event.topic, event.object_type, event.object_id) == ("shipment.created", "shipment", "1")

    def test_a_known_object_is_merged_and_emits_the_whole_of_it(self, post):
        post(PUSH, {"shipments": [{"id": "1", "status": "ready", "tracking": ""}]})
        post(PUSH, {"shipments": [{"id": "1", "tracking": "12345678"}]})
        event = Event.objects.get(topic="shipment.updated")
        assert event.data == {"id": "1", "status": "ready", "tracking": "12345678"}
        assert Record.objects.get().version == 2

    @pytest.mark.parametrize("before", ["new", "known"])
    def test_new_and_known_objects_in_one_body_are_each_taken_for_what_they_are(self, post, subscribe, before):
        subscribe("order.*")
        post(PUSH, {"orders": [{"id": "1", "a": 1}]})
        post(PUSH, {"orders": [{"id": "8" if before == "new" else "1", "b": 1}]})
        Event.objects.all().delete()
        post(PUSH, {"orders": [{"id": "1", "c": 1}, {"id": "2", "c": 1}]}, **{"Idempotency-Key": "k"})
        events = Event.objects.order_by("id").values_list("topic", "object_id")
        assert list(events) == [("order.updated", "1"), ("order.created", "2")]
        assert Delivery.objects.count() == 2
        assert Record.objects.get(external_id="2").version == 1
        assert Record.objects.get(external_id="1").data["c"] == 1

    def test_a_part_of_a_known_object_need_not_fit_the_schema_by_itself(self, post, token):
        schema = {"required": ["status"]}
        for name in ("order.created", "order.updated"):
            Topic.objects.create(store=token.store, name=name, schema=schema)
        assert post(PUSH, {"orders": [{"id": "1", "status": "open"}]}).status_code == 202
        assert post(PUSH, {"orders": [{"id": "1", "note": "x"}]}).status_code == 202
        assert post(PUSH, {"orders": [{"id": "2", "note": "x"}]}).status_code == 400
        assert Record.objects.get().data == {"id": "1", "status": "open", "note": "x"}

    def test_a_push_that_changes_nothing_emits_nothing(self, post):
        for _ in range(2):
            assert post(PUSH, {"shipments": [{"id": "1"}]}).json() == {"shipments": 1}
        assert Event.objects.count() == 1

    def test_several_types_and_empty_arrays_are_counted(self, post):
        response = post(PUSH, {"shipments": [{"id": 1}, {"id": "2"}], "orders": [], "sms": [{"id": "a"}]})
        assert response.json() == {"shipments": 2, "orders": 0, "sms": 1}
        assert sorted(Event.objects.values_list("topic", flat=True)) == [
            "shipment.created", "shipment.created", "sms.created"]  # fmt: skip

    def test_the_same_object_twice_in_one_body_is_created_then_updated(self, post):
        post(PUSH, {"orders": [{"id": "1", "a": 1}, {"id": "1", "a": 2}]})
        assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == ["order.created", "order.updated"]
        assert (Record.objects.get().data, Record.objects.get().version) == ({"id": "1", "a": 2}, 2)

    def test_the_body_is_json_whatever_the_content_type_says(self, post):
        response = post(PUSH, '{"shipments":[{"id":"1"}]}', content_type="application/x-www-form-urlencoded")
        assert response.status_code == 202

    def test_keys_keep_their_order(self, post):
        post(PUSH, '{"orders":[{"zeta":1,"id":"1","alpha":{"y":1,"b":2}}]}')
        assert list(Event.objects.get().data) == ["zeta", "id", "alpha"]

    def test_a_condition_turns_a_change_into_a_topic_of_its_own(self, post, token, subscribe):
        Topic.objects.create(
            store=token.store, name="order.paid", condition="old.status != 'paid' && new.status == 'paid'"
        )
        subscribe("order.paid")
        post(PUSH, {"orders": [{"id": "1", "status": "open"}]})
        post(PUSH, {"orders": [{"id": "1", "status": "paid"}]})
        post(PUSH, {"orders": [{"id": "1", "note": "x"}]})
        assert list(Delivery.objects.values_list("topic", flat=True)) == ["order.paid"]

    @pytest.mark.parametrize(
        ("body", "code", "field"),
        [
            ("", "bad_request", None),
            ("[]", "bad_request", None),
            ("{}", "missing_parameter", None),
            ('{"Shipments":[]}', "parameter_invalid", "Shipments"),
            ('{"shipments":{}}', "parameter_invalid", "shipments"),
            ('{"shipments":[1]}', "parameter_invalid", "shipments[0]"),
            ('{"shipments":[{"id":"1"},{}]}', "missing_parameter", "shipments[1].id"),
            ('{"shipments":[{"id":""}]}', "parameter_invalid", "shipments[0].id"),
            ('{"shipments":[{"id":true}]}', "parameter_invalid", "shipments[0].id"),
            ('{"shipments":[{"id":1.5}]}', "parameter_invalid", "shipments[0].id"),
            ('{"shipments":[{"id":"a\\nb"}]}', "parameter_invalid", "shipments[0].id"),
            ('{"shipments":[{"id":"%s"}]}' % ("x" * 256), "parameter_invalid", "shipments[0].id"),
            ('{"shipments":[{"id":"1","n":NaN}]}', "bad_request", None),
            ('{"shipments":[{"id":"1","n":1e400}]}', "bad_request", None),
            ("{", "bad_request", None),
            ("[" * 10_000, "bad_request", None),
        ],
    )
    def test_malformed_bodies_are_refused_with_place_and_reason(self, post, body, code, field):
        refused(post(PUSH, body), 400, code, field)

    def test_an_id_of_255_characters_of_any_script_is_fine(self, post):
        assert post(PUSH, {"shipments": [{"id": "ß" * 255}, {"id": "😀"}]}).status_code == 202

    def test_one_bad_object_stores_none_of_the_body(self, post):
        refused(
            post(PUSH, {"orders": [{"id": "1"}], "shipments": [{"x": 1}]}), 400, "missing_parameter", "shipments[0].id"
        )

    def test_data_that_breaks_the_topics_schema_is_refused_with_the_path_inside_the_data(self, post, token):
        schema = {"type": "object", "properties": {"cost": {"type": "number"}}}
        Topic.objects.create(store=token.store, name="shipment.created", schema=schema)
        refused(post(PUSH, {"shipments": [{"id": "1", "cost": "x"}]}), 400, "parameter_invalid", "cost")

    def test_too_large_a_body_is_413(self, post, settings):
        settings.MAX_BODY_BYTES = 100
        refused(post(PUSH, {"shipments": [{"id": "1", "x": "y" * 200}]}), 413, "too_large")


class TestPublishingEvents:
    def test_one_event(self, post):
        response = post(
            EVENTS, {"topic": "user.created", "data": {"id": 7}, "occurred_at": "2026-01-31T12:00:00+01:00"}
        )
        event = Event.objects.get()
        body = response.json()
        assert response.status_code == 202
        assert (body["id"], body["topic"], body["intent"]) == (event.public_id, "user.created", None)
        assert event.occurred_at.isoformat() == "2026-01-31T11:00:00+00:00"
        assert not Record.objects.exists()

    def test_an_intent(self, post, subscribe):
        subscribe(intents=["order_pizza"])
        assert post(EVENTS, {"intent": "order_pizza", "data": {"number_of_pizzas": "1"}}).status_code == 202
        assert Delivery.objects.get().topic == "order_pizza"

    def test_a_batch_is_stored_all_or_none(self, post):
        response = post(EVENTS, [{"topic": "a.b", "data": {}}, {"intent": "c"}])
        assert [item["topic"] for item in response.json()["events"]] == ["a.b", None]
        assert Event.objects.count() == 2

    def test_a_bad_one_spoils_the_batch(self, post):
        refused(post(EVENTS, [{"topic": "a.b"}, {"data": {}}]), 400, "missing_parameter", "[1].topic")

    def test_more_than_a_thousand_are_refused(self, post):
        refused(post(EVENTS, [{"topic": "a"}] * 1001), 400, "parameter_invalid")

    @pytest.mark.parametrize(
        "body",
        ['{"topic":"*"}', '{"topic":""}', '{"topic":"a b"}', '{"topic":1}', '{"topic":"a","data":[]}',
         '{"topic":"a","occurred_at":"soon"}', '{"topic":"a","occurred_at":1e300}', "3", "[]"],
    )  # fmt: skip
    def test_malformed_events_are_refused(self, post, body):
        assert post(EVENTS, body).status_code == 400
        assert not Event.objects.exists()


class TestMatching:
    def test_each_subscription_that_wants_it_gets_a_delivery(self, post, subscribe):
        wanted = [subscribe("shipment.*"), subscribe("shipment"), subscribe("all"), subscribe("shipments.create")]
        subscribe("order.*")
        subscribe("shipment.*", filter="status == 'sent'")
        subscribe("shipment.*", is_active=False)
        post(PUSH, {"shipments": [{"id": "1", "status": "ready"}]})
        assert set(Delivery.objects.values_list("subscription_id", flat=True)) == {item.id for item in wanted}

    def test_a_thousand_subscriptions_are_one_write(self, post, subscribe, django_assert_max_num_queries):
        integration = subscribe("order.*").integration
        Subscription.objects.bulk_create(
            [Subscription(store=integration.store, integration=integration, topics=["user.*"]) for _ in range(1000)]
        )
        with django_assert_max_num_queries(20):
            post(EVENTS, {"topic": "user.created"})
        assert Delivery.objects.count() == 1000

    def test_a_changed_subscription_counts_at_once(self, post, subscribe):
        subscription = subscribe("order.*")
        post(EVENTS, {"topic": "user.created"})
        Subscription.objects.filter(id=subscription.id).update(topics=["user.*"])
        post(EVENTS, {"topic": "user.created"})
        assert Delivery.objects.count() == 1

    def test_later_deliveries_of_an_ordered_record_are_held(self, post, subscribe):
        subscribe("order.*", is_ordered=True)
        for state in ("open", "paid"):
            post(PUSH, {"orders": [{"id": "1", "state": state}, {"id": "2", "state": state}]})
        assert [delivery.is_held for delivery in Delivery.objects.order_by("id")] == [False, False, True, True]
