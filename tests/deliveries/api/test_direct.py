"""What the web server takes without asking Django, and what it leaves to the view."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.utils import timezone

from deliveries.api import direct
from deliveries.ingest import push_rate
from deliveries.ingest.direct import MAX_BYTES
from deliveries.models import Delivery, Event, Record
from deliveries.storage import backend
from deliveries.storage.rows.pushes import RecordsExist
from integrations.models import AccessToken
from integrations.security.tokens import revoke_token
from tests.api_client import ApiClient
from tests.factories import IntegrationFactory, SubscriptionFactory, TopicFactory

pytestmark = pytest.mark.django_db

EVENT = {"topic": "order.lost", "data": {"id": "7"}}
OBJECTS = {"orders": [{"id": "7", "n": 1}, {"id": "8"}]}


@pytest.fixture
def client() -> ApiClient:
    """Its store and token are known to this process, as after its first push."""
    made = ApiClient()
    SubscriptionFactory(integration=IntegrationFactory(store=made.store), topics=["order"])
    know(made)
    return made


def know(client: ApiClient) -> None:
    for _ in range(2):  # the second after the token's version was refreshed
        assert client.post("events", {"topic": "nobody.listens", "data": {}}).status_code == 202
    Event.objects.all().delete()


def accepted(client: ApiClient, body: Any, **headers: str) -> Any:
    """`direct.accept`, as the web server calls it."""
    named = {name.lower().encode(): value.encode() for name, value in (client.token.headers | headers).items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    is_objects = isinstance(body, dict) and "topic" not in body and "intent" not in body
    return direct.accept({k: v for k, v in named.items() if k in direct.READ}, raw, is_objects=is_objects)


def written(push: Any) -> Any:
    (verdict,) = backend().write_pushes([push.waiting])
    return verdict


@pytest.mark.parametrize("body", [EVENT, [EVENT, {**EVENT, "intent": "greet"}]], ids=["one", "array"])
def test_events_are_stored_and_answered_as_by_the_view(client, body):
    push = accepted(client, body)
    assert written(push) is None
    by_direct = list(
        Event.objects.order_by("id").values("topic", "intent", "object_type", "object_id", "data", "origin")
    )
    count = Delivery.objects.count()
    ids = [f"evt_{event.id.hex}" for event in Event.objects.order_by("id")]
    items = push.response["events"] if isinstance(body, list) else [push.response]
    assert [item["id"] for item in items] == ids
    Delivery.objects.all().delete()
    Event.objects.all().delete()
    response = client.post("events", body).json()
    assert by_direct == list(
        Event.objects.order_by("id").values("topic", "intent", "object_type", "object_id", "data", "origin")
    )
    assert Delivery.objects.count() == count == len(items)
    others = response["events"] if isinstance(body, list) else [response]
    assert [item.keys() for item in items] == [item.keys() for item in others]
    assert [(item["topic"], item["intent"]) for item in items] == [(item["topic"], item["intent"]) for item in others]


def test_new_objects_become_records_and_events(client):
    push = accepted(client, OBJECTS)
    assert written(push) is None
    assert push.response == {"orders": 2}
    assert set(Record.objects.values_list("type", "external_id", "version")) == {("order", "7", 1), ("order", "8", 1)}
    assert set(Event.objects.values_list("topic", flat=True)) == {"order.created"}


def test_objects_that_exist_are_planned_again_and_merged(client):
    client.post("push", {"orders": [{"id": "7", "old": True}]})
    push = accepted(client, OBJECTS)
    verdict = written(push)
    assert isinstance(verdict, RecordsExist)
    assert push.replan(verdict)
    assert written(push) is None
    records = {record.external_id: record for record in Record.objects.all()}
    assert records["7"].data == {"id": "7", "old": True, "n": 1}
    assert (records["7"].version, records["8"].version) == (2, 1)
    assert sorted(Event.objects.values_list("topic", flat=True)) == ["order.created", "order.created", "order.updated"]


def test_a_key_is_stored_with_its_answer_and_a_second_use_is_the_views(client):
    push = accepted(client, EVENT, **{"Idempotency-Key": "once"})
    assert written(push) is None
    again = client.call("POST", "events", EVENT, **{"Idempotency-Key": "once"})
    assert again.json() == push.response
    assert again.headers["Idempotent-Replay"] == "true"
    repeated = accepted(client, EVENT, **{"Idempotency-Key": "once"})
    assert written(repeated) is not None
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"topic": NaN}',
        b'{"topic": "a.b", "data": {"x": "\\u0000"}}',
        {"topic": "a b"},
        {"topic": "a.b", "data": []},
        {"topic": None},
        [],
        {"Orders": [{"id": "1"}]},
        {"orders": [{}]},
        {"orders": {"id": "1"}},
        b'{"topic": "a.b", "data": {"x": "' + b"x" * MAX_BYTES + b'"}}',
    ],
    ids=lambda body: repr(body)[:30],
)
def test_what_is_refused_or_large_is_left_to_the_view(client, body):
    assert accepted(client, body) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Access-Token": "hkd_wrong_token"},
        {"X-Hub-Store": "not a uuid"},
        {"X-Hub-Store": "00000000-0000-0000-0000-000000000000"},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "x" * 256},
        {"Idempotency-Key": "ä"},
        {"Idempotency-Key": "a\tb"},
    ],
    ids=repr,
)
def test_odd_headers_are_left_to_the_view(client, headers):
    assert accepted(client, EVENT, **headers) is None


def test_a_token_that_may_not_push_is_left_to_the_view(client):
    other = ApiClient(client.store, scopes=("manage",))
    assert other.get("deliveries").status_code == 200
    assert accepted(other, EVENT) is None


def test_who_has_not_pushed_here_before_is_left_to_the_view(client):
    assert accepted(ApiClient(), EVENT) is None


def test_a_token_whose_last_use_is_to_be_noted_is_left_to_the_view(client, monkeypatch):
    from integrations.security import tokens

    monkeypatch.setitem(tokens._last_used, client.token.id, timezone.now() - 2 * tokens.LAST_USED_EVERY)
    assert accepted(client, EVENT) is None


def test_a_revoked_token_writes_nothing_although_this_process_still_knows_it(client):
    push = accepted(client, EVENT)
    revoke_token(token=AccessToken.objects.get(id=client.token.id))
    assert written(push) is not None
    assert not Event.objects.exists()


def test_a_changed_subscription_writes_nothing_that_was_planned_before(client):
    push = accepted(client, EVENT)
    SubscriptionFactory(integration=IntegrationFactory(store=client.store), topics=["all"])
    assert written(push) is not None
    assert not Event.objects.exists()


def test_ordered_deliveries_are_left_to_the_view(client):
    SubscriptionFactory(integration=IntegrationFactory(store=client.store), topics=["parcel"], is_ordered=True)
    know(client)
    assert accepted(client, {"topic": "parcel.lost", "data": {"id": "1"}}) is None
    assert accepted(client, {"topic": "parcel.lost", "data": {}}) is not None, "without an object there is no order"


def test_data_that_breaks_the_schema_of_its_topic_is_left_to_the_view(client):
    TopicFactory(store=client.store, name="order.lost", schema={"type": "object", "required": ["reason"]})
    know(client)
    assert accepted(client, EVENT) is None
    assert accepted(client, {**EVENT, "data": {"reason": "rain"}}) is not None


def test_a_filter_that_takes_long_is_left_to_the_view(client):
    integration = IntegrationFactory(store=client.store)
    often = " && ".join(["length(sort(n)) > `0`"] * 20)
    SubscriptionFactory(integration=integration, topics=["order"], filter=often)
    know(client)
    assert accepted(client, {**EVENT, "data": {"n": [1]}}) is not None
    assert accepted(client, {**EVENT, "data": {"n": list(range(3_000))}}) is None


class TestRate:
    def test_what_this_process_holds_is_used_up_and_then_the_view_decides(self, client, settings):
        settings.PUSH_RATE_LIMIT = 100
        push_rate._slices[client.store.id] = push_rate._Slice(0, 2, False, time.monotonic() + 60)
        assert [accepted(client, EVENT) is not None for _ in range(3)] == [True, True, False]

    def test_a_push_that_is_left_to_the_view_is_counted_there_only(self, client, settings):
        settings.PUSH_RATE_LIMIT = 100
        push_rate._slices[client.store.id] = push_rate._Slice(0, 1, False, time.monotonic() + 60)
        assert accepted(client, {"topic": "a b"}) is None
        push = accepted(client, EVENT)
        direct.fall_back_to_view(push)
        assert accepted(client, EVENT) is not None

    @pytest.fixture(autouse=True)
    def nothing_remembered(self):
        push_rate._slices.clear()
        yield
        push_rate._slices.clear()
