"""Reservations of capacity, in both halves of the storage alike."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery, Engine, Reservation
from deliveries.storage import Backend
from deliveries.storage.rows.reservations import ReservableIntegration
from integrations.foundation.identifiers import uuid7
from integrations.models import ConfigVersion, Integration, IntegrationHealth
from tests.deliveries.storage.queued import NOW, due
from tests.factories import IntegrationFactory

pytestmark = pytest.mark.django_db

LATER, EARLIER = NOW + timedelta(seconds=10), NOW - timedelta(seconds=1)


def engine(host: str = "here", slot: int = 0) -> Engine:
    return Engine.objects.create(host=host, slot=slot, token=uuid7(), pid=1, started_at=NOW, beat_at=NOW)


def found_at(storage: Backend, engine: Engine, *integrations: Integration) -> list[ReservableIntegration]:
    keys = [integration.id for integration in integrations]
    return sorted(storage.reservable(engine.id, engine.host, keys, NOW), key=lambda row: row.integration_id)


def rooms_of(engine: Engine) -> dict[int, tuple[int, Any]]:
    rows = Reservation.objects.filter(engine=engine).values_list("integration_id", "room", "until")
    return {integration_id: (room, until) for integration_id, room, until in rows}


def test_an_integration_is_found_with_its_limits_and_the_configuration_it_was_read_at(storage):
    integration = IntegrationFactory(max_in_flight=7, timeout=12.5)
    version = ConfigVersion.current()
    expected = ReservableIntegration(integration.id, 7, 12.5, version, 0, 0, 0, False)
    assert version > 0
    assert found_at(storage, engine(), integration) == [expected]


def test_only_the_integrations_that_are_asked_for_are_found(storage):
    first, second, _ = IntegrationFactory.create_batch(3)
    assert [row.integration_id for row in found_at(storage, engine(), first, second)] == [first.id, second.id]
    assert found_at(storage, engine(slot=1)) == []


@pytest.mark.parametrize(
    "values",
    [{"is_enabled": False}, {"deleted_at": timezone.now()}, {"rate_limit": 5}],
    ids=lambda values: next(iter(values)),
)
def test_an_integration_that_is_off_deleted_or_limited_is_not_found(storage, values):
    assert found_at(storage, engine(), IntegrationFactory(**values)) == []


@pytest.mark.parametrize(
    ("health", "is_found"),
    [
        ({"breaker": "closed"}, True),
        ({"breaker": "open", "probe_at": LATER}, False),
        ({"breaker": "half_open", "probe_at": LATER}, False),
        ({"throttled_until": LATER}, False),
        ({"throttled_until": EARLIER}, True),
    ],
)
def test_an_integration_that_fails_or_throttles_is_not_found(storage, health, is_found):
    integration = IntegrationFactory()
    IntegrationHealth.objects.update_or_create(integration=integration, defaults=health)
    assert bool(found_at(storage, engine(), integration)) is is_found


def test_what_is_in_flight_is_counted_and_so_is_what_of_it_was_born_claimed(storage):
    integration = IntegrationFactory()
    sending: dict[str, Any] = {"integration": integration, "status": "sending", "lease": uuid7()}
    for due_at in (LATER, LATER, EARLIER):  # of the last, the lease has ended
        due(**sending, due_at=due_at, attempt_count=2, first_sent_at=EARLIER)
    born = due(**sending, due_at=LATER, attempt_count=1)
    Delivery.objects.filter(id=born.id).update(first_sent_at=born.created_at)
    due(integration=integration)
    (row,) = found_at(storage, engine(), integration)
    assert (row.in_flight, row.born_in_flight) == (3, 1)


def test_reservations_of_others_are_counted_while_they_hold(storage):
    integration, ours = IntegrationFactory(), engine()
    for number, (host, until) in enumerate([("b", LATER), ("c", LATER), ("d", EARLIER)]):
        storage.replace_reservations(engine(host, number).id, {integration.id: 5}, until)
    storage.replace_reservations(ours.id, {integration.id: 50}, LATER)
    (row,) = found_at(storage, ours, integration)
    assert (row.reserved_elsewhere, row.is_reserved_here) == (10, False)

    storage.replace_reservations(engine("here", 1).id, {integration.id: 1}, LATER)
    (row,) = found_at(storage, ours, integration)
    assert (row.reserved_elsewhere, row.is_reserved_here) == (11, True)


def test_an_engine_has_exactly_the_reservations_it_was_given_last_and_others_keep_theirs(storage):
    first, second, third = (integration.id for integration in IntegrationFactory.create_batch(3))
    ours, other = engine(), engine("there")
    storage.replace_reservations(other.id, {first: 9}, LATER)
    storage.replace_reservations(ours.id, {first: 1, second: 2}, EARLIER)
    assert rooms_of(ours) == {first: (1, EARLIER), second: (2, EARLIER)}

    storage.replace_reservations(ours.id, {second: 3, third: 4}, LATER)
    assert rooms_of(ours) == {second: (3, LATER), third: (4, LATER)}
    storage.replace_reservations(ours.id, {}, LATER)
    assert rooms_of(ours) == {}
    assert rooms_of(other) == {first: (9, LATER)}
