"""The engine against a real receiver over a socket."""

import json
from datetime import timedelta

import pytest
from django.db import connection

from deliveries.dispatch.types import LEASE_GRACE
from deliveries.models import Delivery, Event, FailureGroup
from deliveries.results.attempts import ended_attempt
from integrations.models import Integration
from notifications.models import Notification
from subscriptions.models import Subscription
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, StoreFactory, SubscriptionFactory
from tests.receiver import answer, hang

pytestmark = pytest.mark.django_db


def a_delivery(receiver, **integration):
    integration.setdefault("retry_policy", [60, 60])
    made = IntegrationFactory(url=receiver.url("/hook"), **integration)
    return DeliveryFactory(subscription=SubscriptionFactory(integration=made))


def test_a_due_delivery_is_sent_once_and_its_attempt_is_kept_byte_for_byte(receiver, deliver):
    delivery = a_delivery(receiver)
    assert deliver() == 1
    (request,) = receiver.requests
    delivery.refresh_from_db()
    attempt = delivery.attempts.get()
    assert delivery.status == "succeeded"
    assert delivery.due_at is None and delivery.lease is None and delivery.finished_at is not None
    assert (attempt.outcome, attempt.response_status, attempt.number) == ("succeeded", 200, 1)
    assert bytes(attempt.request_body) == request.body
    assert json.loads(request.body)["data"] == delivery.event.data
    assert attempt.url == receiver.url("/hook")


def test_nothing_is_sent_twice(receiver, deliver):
    a_delivery(receiver)
    deliver()
    assert deliver() == 0
    assert len(receiver.requests) == 1


def test_a_failure_is_retried_on_schedule_and_then_succeeds(receiver, deliver):
    receiver.script(answer(500, b"out of paper"), answer(200))
    delivery = a_delivery(receiver)
    deliver()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_status, delivery.retry_count) == ("retrying", 500, 1)
    assert "500" in delivery.last_error
    assert deliver() == 0, "it is not due yet"
    assert deliver(later=timedelta(seconds=61)) == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.last_error) == ("succeeded", "")
    assert [a.outcome for a in delivery.attempts.all()] == ["failed", "succeeded"]


def test_retries_used_up_make_a_dead_letter(receiver, deliver):
    receiver.script(answer(500))
    delivery = a_delivery(receiver, retry_policy=[10])
    deliver()
    deliver(later=timedelta(seconds=11))
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert delivery.finished_at is not None


def test_a_refused_payload_is_not_retried_in_standard_format(receiver, deliver):
    receiver.script(answer(422, b'{"error":"no such sku"}'))
    delivery = a_delivery(receiver, permanent_statuses=[400, 410, 413, 422])
    deliver()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert "no such sku" in delivery.last_error


def test_failures_that_are_alike_share_a_group_and_a_notification_which_resolve_themselves(receiver, deliver):
    receiver.script(answer(500, b"out of paper"), answer(500, b"out of paper"), answer(200))
    first = a_delivery(receiver)
    DeliveryFactory(subscription=first.subscription)
    deliver()
    group = FailureGroup.objects.get()
    notification = Notification.objects.get(level="error")
    assert (group.occurrences, notification.occurrences, notification.status) == (2, 2, "open")
    deliver(later=timedelta(seconds=61))
    group.refresh_from_db()
    notification.refresh_from_db()
    assert group.status == "resolved"
    assert (notification.status, notification.resolved_by) == ("resolved", "auto")


def test_a_time_out_ends_at_the_deadline_and_is_retried(receiver, deliver):
    receiver.script(hang())
    delivery = a_delivery(receiver, timeout=0.3)
    deliver()
    delivery.refresh_from_db()
    attempt = delivery.attempts.get()
    assert (delivery.status, attempt.error_kind, attempt.response_status) == ("retrying", "timeout", None)


def test_410_disables_the_integration_and_says_so(receiver, deliver):
    receiver.script(answer(410))
    delivery = a_delivery(receiver)
    deliver()
    delivery.integration.refresh_from_db()
    assert not delivery.integration.is_enabled
    assert "410" in delivery.integration.disabled_reason
    assert Notification.objects.filter(summary__contains="disabled").exists()


def test_deliveries_of_a_disabled_integration_wait_until_it_is_enabled(receiver, deliver):
    delivery = a_delivery(receiver, is_enabled=False)
    assert deliver() == 0
    Integration.objects.update(is_enabled=True)
    assert deliver() == 1
    delivery.refresh_from_db()
    assert delivery.status == "succeeded"


def test_a_lease_that_ran_out_is_sent_again_under_the_same_id_and_the_first_try_reads_unknown(receiver, deliver):
    delivery = a_delivery(receiver)
    lease = timedelta(seconds=delivery.integration.timeout + LEASE_GRACE)
    Delivery.objects.filter(id=delivery.id).update(
        status="sending",
        lease=delivery.id,
        attempt_count=1,
        trigger="manual",
        due_at=delivery.created_at,
        first_sent_at=delivery.created_at - lease,
    )
    deliver()
    first, second = delivery.attempts.all()
    assert [(a.outcome, a.trigger) for a in (first, second)] == [("unknown", "manual"), ("succeeded", "scheduled")]
    assert (first.error_kind, first.method, first.duration_ms) == ("interrupted", "", None)
    assert first.started_at == delivery.created_at - lease
    assert receiver.requests[0].header("webhook-id") == f"msg_{delivery.request_id}"


def test_a_delivery_that_kills_its_workers_is_set_aside(receiver, deliver):
    delivery = a_delivery(receiver)
    Delivery.objects.filter(id=delivery.id).update(
        status="sending", lease=delivery.id, attempt_count=6, crash_count=5, due_at=delivery.created_at
    )
    deliver()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert [attempt.error_kind for attempt in delivery.attempts.all()] == ["interrupted", "crash"]
    assert receiver.requests == []


def test_a_failing_transform_is_a_permanent_error_that_staff_see(receiver, deliver):
    delivery = a_delivery(receiver)
    Subscription.objects.update(transform="to_number(status, 'x', 'y')")
    deliver()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert "transform" in delivery.last_error
    assert receiver.requests == []


def test_a_hub_receivers_parameters_and_objects_are_saved(receiver, deliver):
    store = StoreFactory()
    integration = IntegrationFactory(
        store=store, url=receiver.url("/"), wire_format="hub", parameters={"a": "secret-value"}
    )
    delivery = DeliveryFactory(
        subscription=SubscriptionFactory(integration=integration, path="send_sms"), event=EventFactory(store=store)
    )

    def behave(exchange):
        body = json.loads(exchange.request.body)
        reply = {"request_id": body["request_id"], "summary": "SMS message sent", "parameters": {"b": "2"},
                 "orders": [{"id": "R1", "state": "sent"}]}  # fmt: skip
        return answer(200, json.dumps(reply).encode())(exchange)

    receiver.script(behave)
    deliver()
    integration.refresh_from_db()
    assert integration.parameters == {"a": "secret-value", "b": "2"}
    assert Event.objects.filter(topic="order.created", origin="pushback").exists()
    attempt = delivery.attempts.get()
    assert attempt.summary == "SMS message sent"
    assert b"secret-value" not in bytes(attempt.request_body), "parameters are encrypted at rest"
    assert Notification.objects.get(level="info").summary == "SMS message sent"


def test_ordered_deliveries_of_a_record_go_out_one_by_one(receiver, deliver):
    receiver.script(answer(500), answer(200))
    first = a_delivery(receiver, retry_policy=[60])
    Delivery.objects.filter(id=first.id).update(order_key="shipment/1")
    second = DeliveryFactory(subscription=first.subscription, order_key="shipment/1", due_at=None)
    deliver()
    other = DeliveryFactory(subscription=first.subscription)
    deliver()
    second.refresh_from_db()
    other.refresh_from_db()
    assert second.is_held
    assert other.status == "succeeded", "only the record that failed is held"
    deliver(later=timedelta(seconds=61))
    second.refresh_from_db()
    assert second.status == "succeeded"


def test_a_breaker_opens_after_ten_failures_in_a_row_and_sends_a_probe_after_a_pause(receiver, deliver):
    receiver.script(*[answer(503)] * 10, answer(200))
    first = a_delivery(receiver, retry_policy=[3600])
    for _ in range(9):
        DeliveryFactory(subscription=first.subscription)
    deliver()
    health = first.integration.health
    assert (health.breaker, health.consecutive_failures) == ("open", 10)
    DeliveryFactory(subscription=first.subscription)
    assert deliver() == 0
    assert deliver(later=timedelta(seconds=6)) == 1
    health.refresh_from_db()
    assert (health.breaker, health.consecutive_failures) == ("closed", 0)


def test_a_rate_limited_integration_gets_no_more_than_its_rate(receiver, deliver):
    first = a_delivery(receiver, rate_limit=2)
    for _ in range(4):
        DeliveryFactory(subscription=first.subscription)
    assert deliver() == 2
    assert deliver(later=timedelta(seconds=1)) == 2


def test_an_integration_whose_credentials_no_key_opens_fails_alone_and_says_why(receiver, deliver):
    broken = a_delivery(receiver)
    Integration.objects.filter(id=broken.integration_id).update(token="x")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE integrations_integration SET token = 'no ciphertext' WHERE id = %s", [broken.integration_id]
        )
    fine = a_delivery(receiver)
    deliver()
    # Reading the row itself would fail for the same reason.
    found = Delivery.objects.get(id=broken.id)
    fine.refresh_from_db()
    assert (found.status, fine.status) == ("retrying", "succeeded")
    assert "settings cannot be used" in found.last_error


def test_an_outcome_that_cannot_be_recorded_fails_visibly_and_alone(receiver, deliver, monkeypatch):
    poison, fine = a_delivery(receiver), a_delivery(receiver)

    def break_on_poison(transition):
        if transition.claimed.id == poison.id and transition.outcome.is_success:
            raise RuntimeError("a bug")
        return ended_attempt(transition)

    monkeypatch.setattr("deliveries.results.rows.ended_attempt", break_on_poison)
    deliver()
    poison.refresh_from_db()
    fine.refresh_from_db()
    assert (poison.status, fine.status) == ("failed", "succeeded")
    assert "failed to record the outcome" in poison.last_error


def test_a_receiver_that_explains_what_it_dislikes_is_not_down(receiver, deliver):
    receiver.script(answer(500, b"Error: '0000000000' is not a phone number"))
    first = a_delivery(receiver, retry_policy=[3600])
    for _ in range(14):
        DeliveryFactory(subscription=first.subscription)
    assert deliver() == 15, "no breaker stands in the way of the others"
    assert first.integration.health.breaker == "closed"


def test_several_answers_of_410_at_once_disable_and_announce_once(receiver, deliver):
    receiver.script(answer(410))
    first = a_delivery(receiver)
    DeliveryFactory.create_batch(3, subscription=first.subscription)
    deliver()
    notice = Notification.objects.get(summary__contains="disabled")
    assert notice.occurrences == 1


def test_bad_values_of_any_spelling_are_one_failure_that_names_the_field(receiver, deliver):
    phones = ["0000000000", "call me", "none yet", "555 CALL"]
    made = IntegrationFactory(url=receiver.url("/hook"), permanent_statuses=[500])
    subscription = SubscriptionFactory(integration=made)
    for phone in phones:
        event = EventFactory(store=made.store, data={"id": "1", "shipping_address": {"phone": phone}})
        DeliveryFactory(subscription=subscription, event=event)

    def refuse(exchange):
        phone = json.loads(exchange.request.body)["data"]["shipping_address"]["phone"]
        return answer(500, f"Error: {phone} is no phone number".encode())(exchange)

    receiver.script(refuse)
    deliver()
    group = FailureGroup.objects.get()
    assert group.occurrences == len(phones)
    assert group.title.startswith("phone: ")
    assert not any(phone in group.title for phone in phones)
