"""Staff who are assigned to stores see these only."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from deliveries.access import sees_all, stores_for, visible_to
from deliveries.models import Attempt, Delivery
from integrations.models import StaffProfile
from tests.factories import AttemptFactory, DeliveryFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_staff_without_a_store_see_none() -> None:
    StoreFactory()
    user = UserFactory(is_superuser=False)
    DeliveryFactory()
    assert not sees_all(user)
    assert not stores_for(user).exists()
    assert not visible_to(Delivery.objects.all(), user).exists()


def test_staff_who_are_said_to_see_all_stores_see_all() -> None:
    store, user = StoreFactory(), UserFactory(is_superuser=False)
    StaffProfile.objects.create(user=user, sees_all_stores=True)
    DeliveryFactory()
    assert sees_all(user)
    assert store in stores_for(user)
    assert visible_to(Delivery.objects.all(), user).count() == 1


def test_staff_of_some_stores_see_these() -> None:
    attempt, other = AttemptFactory(), AttemptFactory()
    user = UserFactory(is_superuser=False)
    attempt.delivery.store.staff.add(user)
    assert not sees_all(user)
    assert list(stores_for(user)) == [attempt.delivery.store]
    assert list(visible_to(Delivery.objects.all(), user)) == [attempt.delivery]
    assert list(visible_to(Attempt.objects.all(), user, path="delivery__store")) == [attempt]
    assert other.delivery not in visible_to(Delivery.objects.all(), user)


def test_superusers_see_all_whatever_they_are_assigned_to() -> None:
    user = UserFactory(is_superuser=True)
    StoreFactory().staff.add(user)
    DeliveryFactory()
    assert sees_all(user)
    assert visible_to(Delivery.objects.all(), user).exists()


def test_nobody_sees_nothing() -> None:
    DeliveryFactory()
    assert not sees_all(AnonymousUser())
    assert not visible_to(Delivery.objects.all(), AnonymousUser()).exists()
    assert not stores_for(AnonymousUser()).exists()
