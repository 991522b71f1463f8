"""Failure groups: counted, opened again, closed when nothing is left in them, cheap for any batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from deliveries import hooks
from deliveries.failures.fingerprint import former_fingerprint
from deliveries.failures.groups import Failure, close_empty_groups, group_failures, reopen_group, resolve_group
from deliveries.models import Delivery, FailureGroup
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from subscriptions.routing import config_of
from tests.factories import DeliveryFactory, FailureGroupFactory, IntegrationFactory, SubscriptionFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def told() -> Iterator[list[tuple[list[int], str, datetime]]]:
    heard: list[tuple[list[int], str, datetime]] = []
    with hooks.groups_resolved.connected(lambda ids, by, now: heard.append((list(ids), by, now))):
        yield heard


def failed(delivery: Delivery, message: str = "invalid phone '1'", kind: str = "http_500") -> Failure:
    return Failure(delivery.id, delivery.store_id, delivery.integration_id, kind, message)


def test_alike_failures_of_one_integration_share_a_group_that_counts_them() -> None:
    one = DeliveryFactory(status="failed")
    other = DeliveryFactory(status="failed", subscription=one.subscription)
    groups = group_failures([failed(one, "invalid phone '1'"), failed(other, "invalid phone '22'")], NOW)
    group = FailureGroup.objects.get()
    assert groups == {one.id: group.id, other.id: group.id}
    assert (group.occurrences, group.sample, group.message) == (2, other, "invalid phone '22'")
    assert (group.first_at, group.last_at, group.status) == (NOW, NOW, "open")


def test_other_integrations_kinds_and_messages_have_groups_of_their_own() -> None:
    one, elsewhere = DeliveryFactory(status="failed"), DeliveryFactory(status="failed")
    two = DeliveryFactory(status="failed", subscription=one.subscription)
    three = DeliveryFactory(status="failed", subscription=one.subscription)
    groups = group_failures(
        [failed(one), failed(elsewhere), failed(two, kind="timeout"), failed(three, "out of paper")], NOW
    )
    assert len(set(groups.values())) == 4


def test_a_resolved_group_opens_again_and_counts_on() -> None:
    delivery = DeliveryFactory(status="failed")
    group_failures([failed(delivery)], NOW)
    FailureGroup.objects.update(status="resolved", resolved_at=NOW)
    later = NOW + timedelta(hours=1)
    group_failures([failed(delivery)], later)
    group = FailureGroup.objects.get()
    assert (group.status, group.resolved_at, group.occurrences) == ("open", None, 2)
    assert (group.first_at, group.last_at) == (later, later)


def test_an_open_group_keeps_when_it_began() -> None:
    delivery = DeliveryFactory(status="failed")
    group_failures([failed(delivery)], NOW)
    group_failures([failed(delivery)], NOW + timedelta(hours=1))
    group = FailureGroup.objects.get()
    assert (group.first_at, group.last_at) == (NOW, NOW + timedelta(hours=1))


def test_a_batch_of_500_costs_a_handful_of_statements() -> None:
    delivery = DeliveryFactory(status="failed")
    integrations = [IntegrationFactory(store=delivery.store) for _ in range(3)]
    failures = [
        Failure(delivery.id, delivery.store_id, integrations[number % 3].id, f"kind{number % 100}", "no")
        for number in range(500)
    ]
    config_of(delivery.store_id)  # as any process has it that has worked for the store before
    with CaptureQueriesContext(
        connection,
    ) as queries:
        group_failures(failures, NOW)
    assert len(queries) <= 4
    assert FailureGroup.objects.count() == 300


def test_hostile_messages_are_stored_as_far_as_a_database_can() -> None:
    delivery = DeliveryFactory(status="failed")
    group_failures([failed(delivery, "nul \0 " + "x" * 10_000)], NOW)
    assert FailureGroup.objects.get().message.startswith("nul  xxx")


def test_a_group_closes_when_its_last_delivery_has_left(told: list[tuple[list[int], str, datetime]]) -> None:
    empty, full = FailureGroupFactory(), FailureGroupFactory()
    DeliveryFactory(status="retrying", failure_group=full)
    with transaction.atomic():
        assert close_empty_groups([full.id, empty.id, None, empty.id], NOW) == [empty.id]
    assert told == [([empty.id], "auto", NOW)]
    empty.refresh_from_db()
    full.refresh_from_db()
    assert (empty.status, empty.resolved_at, full.status) == ("resolved", NOW, "open")


def test_closing_twice_tells_once(told: list[tuple[list[int], str, datetime]]) -> None:
    group = FailureGroupFactory()
    with transaction.atomic():
        close_empty_groups([group.id], NOW)
        assert close_empty_groups([group.id], NOW) == []
        assert close_empty_groups([], NOW) == []
    assert len(told) == 1


def test_staff_resolve_and_reopen_a_group_and_history_knows(told: list[tuple[list[int], str, datetime]]) -> None:
    group = FailureGroupFactory()
    DeliveryFactory(status="failed", failure_group=group)
    actor = Actor.of_user(UserFactory(username="Ada"))
    assert resolve_group(group=group, actor=actor, now=NOW)
    assert not resolve_group(group=group, actor=actor, now=NOW)
    assert told == [([group.id], "Ada", NOW)]
    assert reopen_group(group=group, actor=actor, now=NOW)
    assert not reopen_group(group=group, actor=actor, now=NOW)
    entries = AuditEntry.objects.filter(target_type="failuregroup", target_id=str(group.id))
    assert {(entry.actor, entry.action) for entry in entries} == {("Ada", "resolve"), ("Ada", "reopen")}


@pytest.mark.django_db(transaction=True)
def test_two_recorders_that_cross_over_do_not_deadlock() -> None:
    if connection.vendor != "postgresql":
        # One writer at a time: there is nothing to cross.
        return
    import threading

    from django.db import connections

    subscription = SubscriptionFactory()
    one = DeliveryFactory(status="failed", subscription=subscription)
    two = DeliveryFactory(status="failed", subscription=subscription)
    with transaction.atomic():
        first, second = group_failures([failed(one, "a"), failed(two, "b")], NOW).values()
    errors: list[Exception] = []
    barrier = threading.Barrier(2)

    def record(message: str, leaving: int) -> None:
        try:
            barrier.wait(5)
            for _ in range(20):
                with transaction.atomic():
                    group_failures([failed(one, message)], NOW, leaving=[leaving])
                    close_empty_groups([leaving], NOW)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=record, args=args) for args in (("a", second), ("b", first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert errors == []


def test_values_of_the_payload_do_not_split_a_group_and_the_title_names_the_field() -> None:
    subscription = SubscriptionFactory()
    failures = []
    for phone in ("0000000000", "call me", "+1 (555) 010-9999", "n/a"):
        delivery = DeliveryFactory(status="failed", subscription=subscription)
        document = json.dumps({"shipment": {"to": {"phone": phone}}})
        message = f"Unable to send SMS message. Error: {phone} is not a phone number"
        failures.append(
            Failure(delivery.id, delivery.store_id, delivery.integration_id, "http_500", message, (document,))
        )
    assert len(set(group_failures(failures, NOW).values())) == 1
    group = FailureGroup.objects.get()
    assert group.headline == "phone: Unable to send SMS message. Error: … is not a phone number"
    assert group.message.endswith("n/a is not a phone number")


def test_a_group_of_the_time_before_payloads_were_looked_at_goes_on() -> None:
    delivery = DeliveryFactory(status="failed")
    message = "phone 0000000000 refused"
    old = FailureGroupFactory(
        integration=delivery.integration, kind="http_500", fingerprint=former_fingerprint("http_500", message)
    )
    failure = Failure(
        delivery.id, delivery.store_id, delivery.integration_id, "http_500", message, ('{"phone":"0000000000"}',)
    )
    assert group_failures([failure], NOW) == {delivery.id: old.id}
    letters = Failure(
        delivery.id,
        delivery.store_id,
        delivery.integration_id,
        "http_500",
        "phone call me refused",
        ('{"phone":"call me"}',),
    )
    assert group_failures([letters], NOW) == {delivery.id: old.id}
    assert FailureGroup.objects.count() == 1
