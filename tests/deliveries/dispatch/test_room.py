"""Room for deliveries that are born claimed: which engine offers how much to which web process, and what ends an offer."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from deliveries.dispatch.reservations import LIFETIME, MAX_ROOM, RENEW_EVERY
from deliveries.models import Delivery, Engine, Reservation
from integrations.models import Integration, IntegrationHealth
from subscriptions.models import Subscription
from tests.deliveries.dispatch.handing_over import Web, delivery_of, open_up, turn
from tests.deliveries.storage.pushes import a_push
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer, hang

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("host")]


def test_it_goes_the_usual_way_before_an_engine_offers_room(start_engine, web, subscription):
    start_engine()
    assert web.claim(a_push(subscription)) is None
    assert delivery_of(web.push(subscription)).status == "pending"


def test_no_more_are_under_way_than_the_integration_may_have(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    assert Reservation.objects.get().room == 4
    receiver.script(*[hang()] * 20)
    statuses = [delivery_of(web.push(subscription)).status for _ in range(10)]
    assert (statuses.count("sending"), statuses.count("pending")) == (4, 6)
    engine._receive_handovers()
    engine.claim_at = 0.0
    engine.cycle()
    assert Delivery.objects.filter(status="sending").count() == 8, "claims have what is not reserved"


def test_web_processes_that_come_later_get_their_share_of_the_room(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    other = Web()
    other.connect()
    turn(engine)
    web.run()
    other.run()
    receiver.script(*[hang()] * 20)
    statuses = [delivery_of(each.push(subscription)).status for _ in range(4) for each in (web, other)]
    assert (statuses.count("sending"), statuses.count("pending")) == (4, 4)
    other.client.close()
    other.run()
    other.loop.close()


def test_of_two_engines_of_a_host_one_has_an_integrations_room(start_engine, web, subscription):
    first, second = start_engine(), start_engine()
    open_up(first, web, subscription)
    open_up(second, web, subscription)
    assert Reservation.objects.get().engine_id == first.slot.id
    assert Reservation.objects.get().room == MAX_ROOM
    assert Engine.objects.count() == 2


def test_room_that_web_processes_may_use_is_not_taken_back_while_it_fits(start_engine, web, subscription, receiver):
    Integration.objects.update(max_in_flight=20)
    engine = start_engine()
    open_up(engine, web, subscription)
    assert Reservation.objects.get().room == 10
    claimed = {"status": "sending", "lease": uuid.uuid4(), "due_at": timezone.now() + LIFETIME, "attempt_count": 1}
    DeliveryFactory.create_batch(6, subscription=subscription, **claimed)
    engine.born_claimed._last_used_at[subscription.integration_id] = time.monotonic()
    engine.born_claimed._updated_at -= RENEW_EVERY
    engine.born_claimed.update(timezone.now())
    web.run()
    assert Reservation.objects.get().room == 10, "half of what is left would be 7"
    receiver.script(*[hang()] * 10)
    statuses = [delivery_of(web.push(subscription)).status for _ in range(12)]
    assert (statuses.count("sending"), statuses.count("pending")) == (10, 2)


def test_what_is_not_stored_gives_its_room_back(start_engine, web, subscription):
    Integration.objects.update(max_in_flight=8)
    engine = start_engine()
    open_up(engine, web, subscription)
    for _ in range(20):
        push = a_push(subscription)
        born = web.client.claim(push.rows)
        assert born is not None
        web.client.cancel(push.rows, born)
        assert push.rows.deliveries[0].lease is None
        assert push.rows.deliveries[0].due_at == push.rows.now


def test_an_offer_ends_if_the_engine_does_not_renew_it(start_engine, web, subscription, monkeypatch):
    engine = start_engine()
    open_up(engine, web, subscription)
    later = time.monotonic() + LIFETIME.total_seconds()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: later)
        found = web.client.claim(a_push(subscription).rows)
    assert found is None


def no_room(subscription: Subscription) -> None:
    Integration.objects.update(max_in_flight=3)


def a_rate(subscription: Subscription) -> None:
    Integration.objects.update(rate_limit=1000)


def switched_off(subscription: Subscription) -> None:
    Integration.objects.update(is_enabled=False)


def paused(subscription: Subscription) -> None:
    until = timezone.now() + timedelta(minutes=1)
    IntegrationHealth.objects.update_or_create(
        integration_id=subscription.integration_id, defaults={"throttled_until": until}
    )


def broken(subscription: Subscription) -> None:
    probe_at = timezone.now() + timedelta(minutes=1)
    IntegrationHealth.objects.update_or_create(
        integration_id=subscription.integration_id, defaults={"breaker": "open", "probe_at": probe_at}
    )


@pytest.mark.parametrize("forbid", [no_room, a_rate, switched_off, paused, broken])
def test_where_something_speaks_against_it_nothing_is_handed_over(start_engine, web, subscription, receiver, forbid):
    engine = start_engine()
    open_up(engine, web, subscription)
    before = len(receiver.requests)
    born = web.claim(push := a_push(subscription))
    web.hand_over(push, born)
    forbid(subscription)
    engine.born_claimed._updated_at -= RENEW_EVERY  # what is known of the integration is no longer fresh
    engine._receive_handovers()
    engine.born_claimed.update(timezone.now())
    engine.cycle()
    web.run()
    assert web.claim(a_push(subscription)) is None
    assert not Reservation.objects.exists()
    if forbid not in (no_room, a_rate):
        assert len(receiver.requests) == before
        assert (delivery_of(push).status, delivery_of(push).attempt_count) == ("retrying", 0)


def test_a_change_of_the_configuration_ends_it_at_once(start_engine, web, subscription):
    engine = start_engine()
    open_up(engine, web, subscription)
    switched_off(subscription)
    push = a_push(subscription)  # planned with what is true now
    assert web.claim(push) is None


@pytest.mark.parametrize("status", [500, 429, 503])
def test_a_receiver_in_trouble_is_left_to_claims(start_engine, web, subscription, receiver, status):
    engine = start_engine()
    open_up(engine, web, subscription)
    receiver.script(answer(status))
    failed = web.push(subscription)
    turn(engine)
    web.run()
    assert delivery_of(failed).status == "retrying"
    assert web.claim(a_push(subscription)) is None


def test_a_payload_that_is_refused_is_no_trouble(start_engine, web, subscription, receiver):
    Integration.objects.update(permanent_statuses=[422])
    engine = start_engine()
    open_up(engine, web, subscription)
    receiver.script(answer(422))
    refused = web.push(subscription)
    turn(engine)
    web.run()
    assert delivery_of(refused).status == "failed"
    assert web.claim(a_push(subscription)) is not None


def test_a_busy_engine_shares_the_room_of_one_integration_among_all(
    start_engine, web, subscription, receiver, monkeypatch
):
    others = [SubscriptionFactory(integration=IntegrationFactory(url=receiver.url())) for _ in range(3)]
    engine = start_engine()
    for each in (subscription, *others):
        open_up(engine, web, each)
    monkeypatch.setattr(engine.pacer, "window_of", lambda _: 2 * MAX_ROOM)
    born_claimed = engine.born_claimed
    born_claimed._server.withdraw(born_claimed._reserved)
    born_claimed._is_busy, born_claimed._measured_at = True, time.monotonic() + 60
    born_claimed._in_flight_count.update(dict.fromkeys(born_claimed._reserved, 10))
    born_claimed._changed.update(born_claimed._reserved)
    born_claimed.update(timezone.now())
    web.run()
    assert [offer.credits for offer in web.client._offers.values()] == [MAX_ROOM // 4 - 10] * 4
