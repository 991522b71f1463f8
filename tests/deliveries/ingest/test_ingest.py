"""Pushing objects and events: what is stored, what is emitted, what is refused."""

import json
import threading

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from deliveries.models import Delivery, Event, IdempotencyKey, Record
from integrations.models import AccessToken, Store
from subscriptions.models import Subscription, Topic
from tests.factories import AccessTokenFactory, IntegrationFactory, SubscriptionFactory

PUSH, EVENTS = "/api/v1/push", "/api/v1/events"


@pytest.fixture
def token(db):
    return AccessTokenFactory()


@pytest.fixture
def post(token):
    def send(url, body, content_type="application/json", **headers):
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return APIClient().generic("POST", url, data, content_type=content_type, headers={**token.headers, **headers})

    return send


@pytest.fixture
def subscribe(token):
    integration = IntegrationFactory(store=token.store)

    def make(*topics, **values):
        return SubscriptionFactory(integration=integration, topics=list(topics), **values)

    return make


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


class TestCredentials:
    @pytest.mark.parametrize(
        "headers", [{}, {"X-Hub-Store": "x", "X-Hub-Access-Token": "y"}, {"Authorization": "Basic !"}]
    )
    def test_missing_or_wrong_ones_are_401(self, db, headers):
        response = APIClient().post(PUSH, {"a": []}, format="json", headers=headers)
        assert response.status_code == 401
        assert response.json()["errors"][0]["code"] == "unauthorized"

    def test_bearer_and_basic_name_the_store_by_the_tokens_prefix(self, token):
        import base64

        for credentials in (f"{token.store_id}:{token.text}", f"{token.text}:"):
            basic = base64.b64encode(credentials.encode()).decode()
            response = APIClient().post(PUSH, {"a": []}, format="json", headers={"Authorization": f"Basic {basic}"})
            assert response.status_code == 202
        response = APIClient().post(PUSH, {"a": []}, format="json", headers={"Authorization": f"Bearer {token.text}"})
        assert response.status_code == 202

    def test_the_token_of_another_store_is_401(self, token):
        other = AccessTokenFactory()
        headers = {"X-Hub-Store": str(token.store_id), "X-Hub-Access-Token": other.text}
        assert APIClient().post(PUSH, {"a": []}, format="json", headers=headers).status_code == 401

    def test_a_token_revoked_anywhere_stops_working_at_once(self, post, token):
        assert post(PUSH, {"orders": [{"id": "1"}]}).status_code == 202
        AccessToken.objects.update(revoked_at="2026-01-01T00:00:00Z")
        assert post(PUSH, {"orders": [{"id": "2"}]}).status_code == 401
        assert post(PUSH, {"orders": []}).status_code == 401
        assert Event.objects.count() == 1

    def test_a_token_without_the_scope_is_403(self, token):
        weak = AccessTokenFactory(store=token.store, scopes=["manage"])
        response = APIClient().post(PUSH, {"a": []}, format="json", headers=weak.headers)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (403, "forbidden")


class TestIdempotency:
    def test_the_same_key_and_body_again_answers_the_first_response_and_stores_nothing(self, post):
        first = post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        again = post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        assert again.json() == first.json()
        assert again["Idempotent-Replay"] == "true"
        assert Event.objects.count() == 1

    def test_the_same_key_with_another_body_is_409(self, post):
        post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"})
        response = post(EVENTS, {"topic": "a.c"}, **{"Idempotency-Key": "k1"})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "conflict")
        assert Event.objects.count() == 1

    @pytest.mark.parametrize("change", ["revoked", "expired", "weakened", "deleted"])
    @pytest.mark.parametrize("body", [{"topic": "a.b"}, {"topic": "a.c"}])
    def test_a_token_that_may_not_push_any_more_gets_no_earlier_answer(self, post, token, change, body):
        assert post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k1"}).status_code == 202
        mine = AccessToken.objects.filter(pk=token.pk)
        if change == "revoked":
            mine.update(revoked_at="2026-01-01T00:00:00Z")
        elif change == "expired":
            mine.update(expires_at="2026-01-01T00:00:00Z")
        elif change == "weakened":
            mine.update(scopes=["manage"])
        else:
            mine.delete()
        for _ in range(2):  # this process has cached the scope; after the first answer it knows better
            response = post(EVENTS, body, **{"Idempotency-Key": "k1"})
            assert response.status_code == (403 if change == "weakened" else 401), response.content
            assert "Idempotent-Replay" not in response
        assert Event.objects.count() == 1

    def test_a_key_that_is_too_long_is_400(self, post):
        assert post(EVENTS, {"topic": "a.b"}, **{"Idempotency-Key": "k" * 256}).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_the_same_key_fifty_times_at_once_makes_one_event():
    token = AccessTokenFactory()
    statuses = []

    def send():
        headers = {**token.headers, "Idempotency-Key": "once"}
        statuses.append(APIClient().post(EVENTS, {"topic": "a.b"}, format="json", headers=headers).status_code)
        connections.close_all()

    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        # One connection is all an in-memory database has; concurrency is shown where there is a server.
        for _ in range(50):
            headers = {**token.headers, "Idempotency-Key": "once"}
            statuses.append(APIClient().post(EVENTS, {"topic": "a.b"}, format="json", headers=headers).status_code)
    else:
        threads = [threading.Thread(target=send) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(statuses) == {202}
    assert Event.objects.count() == IdempotencyKey.objects.count() == 1


def test_every_change_of_configuration_ticks_the_stores_version(token):
    def version():
        return Store.objects.get(id=token.store_id).config_version

    versions = [version()]
    integration = IntegrationFactory(store=token.store)
    versions.append(version())
    type(integration).objects.filter(id=integration.id).update(url="http://127.0.0.1/x")
    versions.append(version())
    subscription = SubscriptionFactory(integration=integration)
    versions.append(version())
    subscription.delete()
    versions.append(version())
    AccessToken.objects.filter(id=token.id).update(last_used_at="2026-01-01T00:00:00Z")
    assert version() == versions[-1], "use of a token is no change"
    assert versions == sorted(set(versions))


def test_a_changed_word_list_counts_at_once_and_saving_a_store_never_turns_its_version_back(post, token):
    post(PUSH, {"kudos": [{"id": "1"}]})
    store, stale = Store.objects.get(id=token.store_id), Store.objects.get(id=token.store_id)
    store.singular_overrides = {"kudos": "kudos"}
    store.save()
    post(PUSH, {"kudos": [{"id": "2"}]})
    assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == ["kudo.created", "kudos.created"]
    before = Store.objects.get(id=token.store_id).config_version
    stale.name = "Saved by somebody who opened the form earlier"
    stale.save()
    assert Store.objects.get(id=token.store_id).config_version > before
