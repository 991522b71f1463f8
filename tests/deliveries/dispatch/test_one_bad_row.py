"""Whatever the rows of one delivery contain, it fails alone and visibly, and the engine goes on."""

import pytest
from django.db import connection
from django.utils import timezone

from deliveries.dispatch.engine import DeliveryEngine
from deliveries.maintenance.periodic import run_periodic
from deliveries.models import Attempt, Delivery, Event, Revision
from deliveries.previews import ping, preview
from deliveries.runtime.registry import deregister, register
from integrations.models import Integration, IntegrationHealth
from integrations.wire_formats import WIRE_FORMATS
from subscriptions.models import Subscription
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer

pytestmark = pytest.mark.django_db


def a_delivery(receiver, **values):
    integration = IntegrationFactory(url=receiver.url(), retry_policy=[3600])
    return DeliveryFactory(subscription=SubscriptionFactory(integration=integration, **values))


def spoil(model, key, **columns):
    """Past the model: what a dropped key, a restored row or a bug leaves behind."""
    sets = ", ".join(f'"{name}" = %s' for name in columns)
    pk = model._meta.pk.get_db_prep_value(key, connection)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {model._meta.db_table} SET {sets} WHERE id = %s", [*columns.values(), pk])


def unreadable_parameters(delivery):
    spoil(Subscription, delivery.subscription_id, parameters="no ciphertext")


def garbage_for_data(delivery):
    spoil(Subscription, delivery.subscription_id, transform="@")
    spoil(Event, delivery.event_id, data="{no json")


def transform_that_is_none(delivery):
    spoil(Subscription, delivery.subscription_id, transform="][ broken")


def garbage_in_a_revision(delivery):
    revision = Revision.objects.create(delivery=delivery, number=1, data={}, patch=[], author_name="x")
    spoil(Revision, revision.id, data="{no json")
    spoil(Subscription, delivery.subscription_id, transform="@")
    Delivery.objects.filter(id=delivery.id).update(revision=1)


@pytest.mark.parametrize(
    ("spoiled", "kind"),
    [
        (unreadable_parameters, "internal"),
        (garbage_for_data, "internal"),
        (transform_that_is_none, "transform"),
        (garbage_in_a_revision, "internal"),
    ],
)
def test_what_spoils_one_delivery_is_its_own_permanent_failure(receiver, deliver, spoiled, kind):
    bad, *fine = [a_delivery(receiver) for _ in range(4)]
    spoiled(bad)
    deliver()
    rows = Delivery.objects.defer("event").in_bulk([bad.id, *(one.id for one in fine)])
    assert [rows[one.id].status for one in fine] == ["succeeded"] * 3
    assert (rows[bad.id].status, rows[bad.id].crash_count) == ("failed", 0)
    assert rows[bad.id].last_error
    assert Attempt.objects.get(delivery_id=bad.id).error_kind == kind
    assert not Delivery.objects.filter(status="sending").exists()


def test_unreadable_parameters_are_named_as_internal_with_what_to_do(receiver, deliver, caplog):
    bad = a_delivery(receiver)
    unreadable_parameters(bad)
    deliver()
    attempt = Attempt.objects.get(delivery_id=bad.id)
    assert attempt.error_kind == "internal"
    assert "ENCRYPTION_KEYS" in attempt.error_message
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("columns", [{"headers": "[1]"}, {"permanent_statuses": "7"}, {"parameters": "x"},
                                     {"retry_policy": '{"a": 1}'}, {"connector": "fax"}])  # fmt: skip
def test_an_integration_whose_columns_hold_anything_stops_nobody_else(receiver, deliver, columns):
    bad, fine = a_delivery(receiver), a_delivery(receiver)
    spoil(Integration, bad.integration_id, **columns)
    deliver()
    found = dict(Delivery.objects.values_list("id", "status"))
    assert (found[bad.id], found[fine.id]) == ("retrying", "succeeded")
    assert "settings cannot be used" in Delivery.objects.values_list("last_error", flat=True).get(id=bad.id)


@pytest.mark.parametrize("step", ["build", "read"])
@pytest.mark.parametrize(
    "error", [RuntimeError("secret"), KeyError("secret"), RecursionError(), AssertionError("secret")]
)
def test_a_format_that_raises_anything_fails_one_delivery_and_shows_no_secret(
    receiver, deliver, monkeypatch, step, error
):
    class Broken(type(WIRE_FORMATS["flat"])):
        pass

    def fail(*_):
        raise error

    broken = Broken()
    setattr(broken, step, fail)
    monkeypatch.setitem(WIRE_FORMATS, "flat", broken)
    bad, fine = a_delivery(receiver), a_delivery(receiver)
    Integration.objects.filter(id=bad.integration_id).update(wire_format="flat")
    deliver()
    bad.refresh_from_db()
    fine.refresh_from_db()
    assert (bad.status, fine.status) == ("failed", "succeeded")
    attempt = Attempt.objects.get(delivery=bad)
    assert attempt.error_kind == "internal"
    assert type(error).__name__ in attempt.error_message
    assert "secret" not in attempt.error_message


def test_a_transport_that_cannot_begin_with_a_request_sends_the_others(receiver, db):
    slot = register(timezone.now())
    engine = DeliveryEngine(slot)
    bad, fine = a_delivery(receiver), a_delivery(receiver)
    submit = engine.transport.submit

    def refuse(key, request):
        if request.url.endswith("/bad"):
            raise UnicodeError("not for the wire")
        submit(key, request)

    Integration.objects.filter(id=bad.integration_id).update(url=receiver.url("/bad"))
    engine.transport.submit = refuse
    try:
        engine.cycle()
        while engine.dispatches or engine.results:
            engine.collect(5.0)
            engine.cycle()
    finally:
        engine.transport.close()
        deregister(slot)
    assert dict(Delivery.objects.values_list("id", "status")) == {bad.id: "failed", fine.id: "succeeded"}
    assert Attempt.objects.get(delivery=bad).error_kind == "internal"


def test_an_answer_of_410_for_an_unreadable_subscription_is_recorded(receiver, deliver):
    receiver.script(answer(410))
    integration = IntegrationFactory(url=receiver.url(), wire_format="notification")
    delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    spoil(Integration, IntegrationFactory().id, token="no ciphertext")
    deliver()
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert not Subscription.objects.get(id=delivery.subscription_id).is_active


def test_polls_and_housekeeping_go_on_around_one_that_cannot_be_read(receiver, deliver, caplog):
    now = timezone.now()
    subscriptions = [a_delivery(receiver).subscription for _ in range(3)]
    Delivery.objects.all().delete()
    Subscription.objects.update(poll_every=60, next_poll_at=now)
    spoil(Subscription, subscriptions[0].id, parameters="no ciphertext")
    dead = IntegrationFactory()
    spoil(Integration, dead.id, token="no ciphertext")
    IntegrationHealth.objects.create(integration=dead, first_failure_at=now.replace(year=now.year - 1))
    from deliveries.maintenance import periodic as module

    module._swept_at = None
    run_periodic(now)
    assert Delivery.objects.filter(topic="poll").count() == 3
    assert not Integration.objects.defer("token").get(id=dead.id).is_enabled
    deliver()
    assert sorted(Delivery.objects.filter(topic="poll").values_list("status", flat=True))[0] == "failed"


def test_a_ping_and_a_preview_of_what_cannot_be_read_say_so(receiver):
    delivery = a_delivery(receiver)
    subscription = Subscription.objects.get(id=delivery.subscription_id)
    unreadable_parameters(delivery)
    attempt = ping.ping_now(integration=delivery.integration, subscription=subscription, now=timezone.now())
    assert (attempt.outcome, attempt.error_kind) == ("failed", "internal")
    request, why = preview.request_for(
        integration=delivery.integration, subscription=Subscription.objects.defer("parameters").get(id=subscription.id),
        event=delivery.event, data_json="{}", now=timezone.now(),
    )  # fmt: skip
    assert request is None
    assert "cannot be read" in why
