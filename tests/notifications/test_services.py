"""Notifications: one per failure group, counted, opened again, resolved by themselves or by staff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from deliveries import hooks
from deliveries.failures.groups import Failure, close_empty_groups, group_failures
from deliveries.hooks import DeliveryChange
from deliveries.models import Delivery, FailureGroup
from deliveries.resolution import discard_delivery
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from notifications import services
from notifications.models import Notification
from notifications.services import (
    on_announced,
    on_settled,
    prune_notifications,
    reopen_notification,
    resolve_announced,
    resolve_notification,
)
from tests.factories import (
    DeliveryFactory,
    FailureGroupFactory,
    IntegrationFactory,
    NotificationFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def settled(delivery: Delivery, group: FailureGroup | None = None, **values: Any) -> DeliveryChange:
    base = {"status": "failed" if group else "succeeded", "group_id": group.id if group else None}
    return DeliveryChange(delivery.id, delivery.store_id, delivery.integration_id, **base | values)


def failing() -> tuple[Delivery, FailureGroup]:
    group = FailureGroupFactory()
    subscription = SubscriptionFactory(integration=group.integration)
    return DeliveryFactory(subscription=subscription, status="failed", failure_group=group), group


def test_what_deliveries_announce_reaches_notifications() -> None:
    delivery, group = failing()
    hooks.settled([settled(delivery, group, summary="invalid phone")], NOW)
    hooks.announced(delivery.store_id, None, "disabled", "warning", "It was disabled.", NOW)
    assert set(Notification.objects.values_list("level", "status")) == {("error", "open"), ("warning", "open")}
    hooks.groups_resolved([group.id], "ada", NOW)
    assert Notification.objects.get(failure_group=group).status == "resolved"


def test_an_error_is_one_notification_per_group_in_the_receivers_own_words() -> None:
    delivery, group = failing()
    on_settled([settled(delivery, group, summary="invalid phone", message="answered 500")] * 3, NOW)
    notification = Notification.objects.get()
    assert (notification.level, notification.status, notification.occurrences) == ("error", "open", 3)
    assert (notification.summary, notification.failure_group) == ("invalid phone", group)
    assert (notification.delivery, notification.integration) == (delivery, group.integration)
    assert (notification.created_at, notification.resolved_by) == (NOW, None)
    on_settled([settled(delivery, group, status="retrying", message="answered 500")], LATER)
    notification.refresh_from_db()
    assert (notification.summary, notification.occurrences, notification.last_at) == ("answered 500", 4, LATER)


def test_success_without_a_word_costs_nothing() -> None:
    delivery = DeliveryFactory()
    with CaptureQueriesContext(connection) as queries:
        on_settled([settled(delivery), settled(delivery, status="discarded"), settled(delivery, summary="")], NOW)
    assert len(queries) == 0


def test_what_receivers_say_of_success_is_grouped_and_resolved_from_the_start() -> None:
    delivery = DeliveryFactory()
    on_settled([settled(delivery, summary="SMS 17 sent"), settled(delivery, summary="SMS 18 sent")], NOW)
    on_settled([settled(delivery, summary="order booked")], NOW)
    info, _ = Notification.objects.order_by("-occurrences")
    assert (info.level, info.status, info.resolved_by) == ("info", "resolved", "auto")
    assert (info.summary, info.occurrences, info.resolved_at) == ("SMS 18 sent", 2, NOW)


def test_it_resolves_itself_when_the_deliveries_succeed_and_opens_again_when_they_do_not() -> None:
    delivery, _ = failing()
    failure = Failure(delivery.id, delivery.store_id, delivery.integration_id, "http_500", "out of paper")

    def fail(now: datetime) -> None:
        with transaction.atomic():
            [group_id] = group_failures([failure], now).values()
            Delivery.objects.update(failure_group=group_id)
            hooks.settled([settled(delivery, FailureGroup.objects.get(id=group_id), message="out of paper")], now)

    fail(NOW)
    notification = Notification.objects.get()
    Delivery.objects.update(failure_group=None)
    with transaction.atomic():
        close_empty_groups([notification.failure_group_id], LATER)
    notification.refresh_from_db()
    assert (notification.status, notification.resolved_by, notification.resolved_at) == ("resolved", "auto", LATER)
    fail(LATER)
    notification.refresh_from_db()
    assert (notification.status, notification.resolved_by, notification.resolved_at) == ("open", None, None)
    assert notification.occurrences == 2


def test_a_discard_resolves_it_by_that_name() -> None:
    delivery, group = failing()
    on_settled([settled(delivery, group, message="no")], NOW)
    discard_delivery(delivery=delivery, actor=Actor(None, "ada"), now=LATER)
    notification = Notification.objects.get()
    assert (notification.status, notification.resolved_by) == ("resolved", "ada")


def test_a_batch_of_500_costs_a_handful_of_statements() -> None:
    delivery, group = failing()
    groups = [group, *(FailureGroupFactory(integration=group.integration) for _ in range(9))]
    batch = [settled(delivery, groups[number % 10], message="no") for number in range(250)]
    batch += [settled(delivery, summary=f"sent {number}") for number in range(250)]
    with CaptureQueriesContext(connection) as queries:
        on_settled(batch, NOW)
    assert len(queries) <= 6
    with CaptureQueriesContext(connection) as queries:
        on_settled(batch, LATER)
    assert len(queries) <= 6
    assert Notification.objects.count() == 11
    assert Notification.objects.get(level="info").occurrences == 500


def test_a_fault_in_here_never_reaches_the_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    delivery, group = failing()

    def broken(*_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense FROM nowhere")

    monkeypatch.setattr(services, "_upsert", broken)
    with transaction.atomic():
        on_settled([settled(delivery, group, message="no")], NOW)
        Delivery.objects.filter(pk=delivery.pk).update(last_error="recorded")
    assert Delivery.objects.get().last_error == "recorded"
    with pytest.raises(DatabaseError), transaction.atomic():
        broken()


def test_hostile_words_are_kept_as_far_as_a_database_can() -> None:
    delivery, group = failing()
    on_settled([settled(delivery, group, summary="<script>\0" + "x" * 5000)], NOW)
    assert Notification.objects.get().summary.startswith("<script>xxx")


def test_an_announcement_is_one_notification_per_store_and_key() -> None:
    integration = IntegrationFactory()
    for moment in (NOW, LATER):
        on_announced(integration.store_id, integration.id, "disabled:1", "warning", "ERP was disabled", moment)
    on_announced(StoreFactory().id, None, "disabled:1", "error", "another store's", NOW)
    notification = Notification.objects.get(store=integration.store)
    assert (notification.level, notification.occurrences, notification.last_at) == ("warning", 2, LATER)
    assert resolve_announced(integration.store_id, "disabled:1", "ada", LATER)
    assert not resolve_announced(integration.store_id, "disabled:1", "ada", LATER)
    on_announced(integration.store_id, integration.id, "disabled:1", "warning", "again", LATER)
    notification.refresh_from_db()
    assert (notification.status, notification.summary, notification.resolved_by) == ("open", "again", None)


def test_staff_resolve_and_reopen_with_the_group_and_history_knows() -> None:
    delivery, group = failing()
    on_settled([settled(delivery, group, message="no")], NOW)
    notification = Notification.objects.get()
    actor = Actor.of_user(UserFactory(username="ada"))
    assert resolve_notification(notification=notification, actor=actor, now=LATER)
    assert not resolve_notification(notification=notification, actor=actor, now=LATER)
    group.refresh_from_db()
    assert (notification.status, notification.resolved_by, group.status) == ("resolved", "ada", "resolved")
    assert reopen_notification(notification=notification, actor=actor)
    assert not reopen_notification(notification=notification, actor=actor)
    group.refresh_from_db()
    assert (notification.status, notification.resolved_by, group.status) == ("open", None, "open")
    entries = AuditEntry.objects.filter(target_type="notification", target_id=str(notification.id))
    assert {entry.action for entry in entries} == {"resolve", "reopen"}


def test_an_announcement_is_resolved_without_a_group_and_an_info_cannot_be_opened() -> None:
    actor = Actor(None, "ada")
    assert resolve_notification(notification=NotificationFactory(level="warning"), actor=actor)
    assert not reopen_notification(notification=NotificationFactory(level="info", status="resolved"), actor=actor)


def test_old_resolved_ones_are_forgotten() -> None:
    old = {"last_at": NOW - timedelta(days=100), "created_at": NOW - timedelta(days=100)}
    NotificationFactory(status="resolved", **old)
    kept = {NotificationFactory(**old), NotificationFactory(status="resolved", created_at=NOW)}
    assert prune_notifications(NOW - timedelta(days=90)) == 1
    assert set(Notification.objects.all()) == kept
