"""What an integration did in a window, and whether it holds its objectives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from deliveries import hooks
from deliveries.maintenance.objectives import watch_objectives
from deliveries.models import AttemptCount, Delivery
from deliveries.stats.budgets import Budget, budgets
from deliveries.stats.durations import bin_of
from deliveries.stats.figures import figures
from deliveries.stats.rollups import fill, slot_of
from integrations.foundation.audit import HOOKDESK
from integrations.foundation.identifiers import uuid7
from integrations.models import AuditEntry, Integration, Objectives
from integrations.services.objectives import set_objectives
from notifications.models import Notification
from subscriptions.models import Subscription
from tests.factories import DeliveryFactory, SubscriptionFactory

NOW = datetime(2026, 3, 4, 12, 2, tzinfo=UTC)
Kind = AttemptCount.Kind

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    made: Subscription = SubscriptionFactory()
    return made


@pytest.fixture
def integration(subscription: Subscription) -> Integration:
    return subscription.integration


def ended(subscription: Subscription, ago: timedelta, status: str = "succeeded", took: float = 0.04) -> Delivery:
    at = NOW - ago
    made: Delivery = DeliveryFactory(
        id=uuid7(int((at - timedelta(seconds=took)).timestamp() * 1000)),
        subscription=subscription,
        status=status,
        created_at=at - timedelta(seconds=took),
        finished_at=at,
    )
    return made


def attempts(integration: Integration, ago: timedelta, kind: int, milliseconds: int, number: int = 1) -> None:
    AttemptCount.objects.create(
        slot=slot_of(NOW - ago), writer=1, integration_id=integration.pk, kind=kind, bin=bin_of(milliseconds),
        number=number, milliseconds=milliseconds * number,
    )  # fmt: skip


class TestFigures:
    def test_count_deliveries_and_attempts_and_their_times(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        ended(subscription, timedelta(minutes=20))
        ended(subscription, timedelta(minutes=20), status="failed")
        attempts(integration, timedelta(minutes=20), Kind.RETRYING, 110, 3)
        attempts(integration, timedelta(minutes=20), Kind.SUCCEEDED, 25)
        attempts(integration, timedelta(hours=3), Kind.RETRYING, 25)
        found = figures(integration=integration, window="1h", now=NOW)
        assert (found.series.accepted, found.series.succeeded, found.series.failed, found.retried) == (2, 1, 1, 3)
        assert found.receiver.p99 is not None and 100 <= found.receiver.p99 <= 125
        assert found.push_to_delivered.p50 is not None and 40 <= found.push_to_delivered.p50 <= 50
        assert figures(integration=integration, window="24h", now=NOW).retried == 4

    @pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
    def test_bars_follow_each_other_to_now_and_add_up(self, subscription: Subscription, window: str) -> None:
        ended(subscription, timedelta(minutes=20))
        attempts(subscription.integration, timedelta(minutes=20), Kind.RETRYING, 10)
        found = figures(integration=subscription.integration, window=window, now=NOW)
        assert all(one.end == two.start for one, two in zip(found.periods, found.periods[1:], strict=False))
        assert found.periods[-1].end == NOW
        assert sum(one.delivered for one in found.periods) == sum(one.retried for one in found.periods) == 1

    def test_of_others_nothing_is_counted(self, subscription: Subscription, integration: Integration) -> None:
        other = SubscriptionFactory()
        ended(other, timedelta(minutes=20))
        attempts(other.integration, timedelta(minutes=20), Kind.RETRYING, 10)
        found = figures(integration=integration, window="24h", now=NOW)
        assert (found.series.accepted, found.retried, found.waiting.number) == (0, 0, 0)

    def test_an_integration_that_refuses_everything_is_told_from_an_idle_one(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        ended(subscription, timedelta(minutes=20), status="failed")
        idle = SubscriptionFactory().integration
        assert not figures(integration=idle, window="24h", now=NOW).is_nothing_delivered
        assert figures(integration=integration, window="24h", now=NOW).is_nothing_delivered


def spent(integration: Integration, **values: Any) -> Budget:
    fill(NOW)  # as the worker does each minute
    objectives = set_objectives(integration=integration, actor=HOOKDESK, **{"target": 90, **values})
    return budgets([objectives], NOW)[integration.pk]


class TestBudget:
    def test_failed_late_and_overdue_deliveries_spend_it(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        for _ in range(37):
            ended(subscription, timedelta(days=3))
        ended(subscription, timedelta(days=4), took=301)
        ended(subscription, timedelta(days=20), status="failed")
        DeliveryFactory(subscription=subscription, created_at=NOW - timedelta(minutes=6), due_at=NOW)
        DeliveryFactory(subscription=subscription, created_at=NOW - timedelta(minutes=4), due_at=NOW)
        found = spent(integration)
        assert (found.total, found.bad, found.allowed) == (40, 3, pytest.approx(4))
        assert (found.spent, found.left, found.kept) == (pytest.approx(0.75), pytest.approx(0.25), pytest.approx(0.925))
        assert (found.burn_rate, found.is_spent, found.is_burning) == (0, False, False)

    def test_what_is_older_than_its_days_is_forgotten(self, subscription: Subscription) -> None:
        ended(subscription, timedelta(days=8), status="failed")
        assert spent(subscription.integration, days=7).bad == 0
        assert spent(subscription.integration, days=10).bad == 1

    def test_it_burns_when_much_fails_now_and_not_when_it_did_hours_ago(self, subscription: Subscription) -> None:
        for minutes in (2, 3, 20):
            ended(subscription, timedelta(minutes=minutes), status="failed")
        found = spent(subscription.integration, target=99)
        assert found.burn_rate == pytest.approx(100)
        assert found.is_burning_fast and not found.is_held

    def test_nothing_delivered_spends_nothing(self, integration: Integration) -> None:
        found = spent(integration)
        assert (found.spent, found.left, found.kept, found.is_spent) == (0, 1, None, False)


def announced() -> list[tuple[str, str, str]]:
    rows = Notification.objects.order_by("key")
    return [(row.key.split(":")[0], row.status, row.level) for row in rows]


class TestAlerts:
    def test_a_backlog_is_told_once_and_settled_well_below_its_limit(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        set_objectives(integration=integration, actor=HOOKDESK, max_backlog=5)
        waiting = [DeliveryFactory(subscription=subscription, due_at=NOW + timedelta(hours=1)) for _ in range(6)]
        assert watch_objectives(NOW) == 1
        assert watch_objectives(NOW) == 0
        assert announced() == [("backlog", "open", "warning")]
        assert "6 deliveries wait, more than the 5" in Notification.objects.get().summary
        waiting[0].delete()
        assert watch_objectives(NOW) == 0, "five are not more than five, and not well below"
        waiting[1].delete()
        assert watch_objectives(NOW) == 1
        assert announced() == [("backlog", "resolved", "warning")]

    def test_a_long_wait_is_told_but_not_of_a_disabled_integration(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        set_objectives(integration=integration, actor=HOOKDESK, max_wait=60)
        DeliveryFactory(subscription=subscription, due_at=NOW - timedelta(minutes=5))
        watch_objectives(NOW)
        assert announced() == [("wait", "open", "error")]
        Integration.objects.filter(pk=integration.pk).update(is_enabled=False)
        watch_objectives(NOW)
        assert announced() == [("wait", "resolved", "error")]

    def test_a_budget_that_is_spent_is_told_with_its_figures(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        set_objectives(integration=integration, actor=HOOKDESK, target=99.9)
        ended(subscription, timedelta(days=2))
        ended(subscription, timedelta(days=2), status="failed")
        watch_objectives(NOW)
        (notification,) = Notification.objects.all()
        assert "99.9 % within 5 minutes, 30 days" in notification.summary
        assert "1 of 2 deliveries failed or were late" in notification.summary

    def test_an_objective_that_is_taken_away_or_whose_integration_is_deleted_settles_what_was_told(
        self, subscription: Subscription, integration: Integration
    ) -> None:
        set_objectives(integration=integration, actor=HOOKDESK, max_backlog=1, max_wait=1)
        for _ in range(2):
            DeliveryFactory(subscription=subscription, due_at=NOW - timedelta(minutes=5))
        watch_objectives(NOW)
        set_objectives(integration=integration, actor=HOOKDESK, max_backlog=None)
        watch_objectives(NOW)
        assert announced() == [("backlog", "resolved", "warning"), ("wait", "open", "error")]
        Integration.objects.filter(pk=integration.pk).update(deleted_at=NOW)
        watch_objectives(NOW)
        assert [status for _, status, _ in announced()] == ["resolved", "resolved"]

    def test_two_processes_tell_it_once(self, subscription: Subscription, integration: Integration) -> None:
        set_objectives(integration=integration, actor=HOOKDESK, max_backlog=1)
        for _ in range(2):
            DeliveryFactory(subscription=subscription, due_at=NOW)
        told = []

        def meanwhile(*values: object) -> None:
            told.append(values)
            if len(told) == 1:  # as if another process had read the same row
                Objectives.objects.filter(pk=integration.pk).update(backlog_alert_at=NOW)

        with hooks.announced.connected(meanwhile):
            watch_objectives(NOW)
            watch_objectives(NOW)
        assert len(told) == 1

    def test_one_that_cannot_be_looked_at_does_not_hinder_the_others(
        self, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for one in (subscription, SubscriptionFactory()):
            set_objectives(integration=one.integration, actor=HOOKDESK, max_wait=1)
            DeliveryFactory(subscription=one, due_at=NOW - timedelta(minutes=5))
        broken = [subscription.integration_id]

        def fail(store: object, integration_id: int, *rest: object) -> None:
            if integration_id in broken:
                raise ValueError("no")

        with hooks.announced.connected(fail):  # type: ignore[arg-type]
            watch_objectives(NOW)
        assert Notification.objects.count() == 1


class TestSetting:
    @pytest.mark.parametrize(
        ("name", "value"),
        [("target", 100), ("target", 49), ("target", True), ("target", float("nan")), ("target", 10**400),
         ("within", 7), ("days", 31), ("days", None), ("max_backlog", 0), ("max_backlog", 1.5), ("max_wait", "60")],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_by_name(self, integration: Integration, name: str, value: Any) -> None:
        with pytest.raises(ValidationError) as caught:
            set_objectives(integration=integration, actor=HOOKDESK, **{name: value})
        assert list(caught.value.message_dict) == [name]
        assert not Objectives.objects.exists()

    def test_a_change_is_audited_and_no_change_is_not(self, integration: Integration) -> None:
        for _ in range(2):
            set_objectives(integration=integration, actor=HOOKDESK, target=99.9, max_wait=60)
        (entry,) = AuditEntry.objects.filter(action="set objectives")
        assert entry.after == {"target": 99.9, "max_wait": 60}
