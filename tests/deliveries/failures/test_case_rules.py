"""Merged cases stay merged and split ones apart, for what is there and for what fails later."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from deliveries import hooks
from deliveries.failures import case_rules
from deliveries.failures.case_rules import merge_cases, remove_rule, settle_rules, split_case
from deliveries.failures.cases import CaseError, comment_on_case, comments_of, merged_into, set_ticket
from deliveries.failures.conditions import meets
from deliveries.failures.groups import Failure, group_failures, reopen_group
from deliveries.failures.trend import count_hours, trends
from deliveries.hooks import DeliveryChange
from deliveries.models import CaseRule, Delivery, FailureGroup
from integrations.foundation.audit import Actor
from notifications.models import Notification
from tests.factories import DeliveryFactory, EventFactory, FailureGroupFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = Actor(None, "ada")


@pytest.fixture
def subscription() -> Any:
    return SubscriptionFactory()


def fail(subscription: Any, message: str, now: datetime = NOW, count: int = 1, **data: Any) -> FailureGroup:
    """That many deliveries fail with this message, as the engine records them."""
    store = subscription.store
    made = [
        DeliveryFactory(
            subscription=subscription, status="failed", last_error=message, event=EventFactory(store=store, data=data)
        )
        for _ in range(count)
    ]
    return record(made, message, now, **data)


def record(deliveries: list[Delivery], message: str, now: datetime = NOW, **data: Any) -> FailureGroup:
    document = json.dumps(data)
    failures = [
        Failure(one.id, one.store_id, one.integration_id, "http_500", message, (document,)) for one in deliveries
    ]
    with transaction.atomic():
        groups = group_failures(failures, now)
        for one in deliveries:
            Delivery.objects.filter(pk=one.pk).update(
                failure_group=groups[one.pk], status="failed", due_at=None, lease=None, finished_at=now
            )
        changes = [
            DeliveryChange(one.id, one.store_id, one.integration_id, "failed", None, groups[one.pk], message)
            for one in deliveries
        ]
        hooks.settled(changes, now)
    return FailureGroup.objects.get(pk=next(iter(groups.values())))


def members(case: FailureGroup) -> int:
    return Delivery.objects.filter(failure_group=case).count()


def test_a_merged_case_moves_what_it_has_and_what_fails_later(subscription: Any) -> None:
    source, target = fail(subscription, "no paper", count=3), fail(subscription, "no ink", count=2)
    merge_cases(source=source, target=target, actor=ADA, now=NOW)
    later = fail(subscription, "no paper", NOW + HOUR)
    source.refresh_from_db()
    assert later == target
    assert (later.occurrences, members(later), later.message, later.last_at) == (6, 6, "no ink", NOW + HOUR)
    assert (source.status, source.occurrences, members(source)) == ("resolved", 0, 0)
    assert list(FailureGroup.objects.cases()) == [target]
    assert merged_into(source) == target


def test_the_numbers_of_cases_and_notifications_agree_whatever_is_merged_or_split(subscription: Any) -> None:
    source, target = fail(subscription, "no paper", count=3), fail(subscription, "no ink", count=2, country="CH")
    fail(subscription, "no ink", country="DE", count=4)
    merge_cases(source=source, target=target, actor=ADA, now=NOW)
    split_case(case=target, field="country", operator="is", value="de", actor=ADA, now=NOW)
    fail(subscription, "no paper", NOW + HOUR)
    fail(subscription, "no ink", NOW + HOUR, country="DE", count=2)
    open_cases = {case.pk: case.occurrences for case in FailureGroup.objects.cases().open()}
    notified = {row.failure_group_id: row.count for row in Notification.objects.open()}
    assert notified == open_cases
    assert sum(open_cases.values()) == Delivery.objects.filter(failure_group__in=open_cases).count() == 12


def test_a_resolved_case_opens_when_one_that_is_open_is_merged_into_it(subscription: Any) -> None:
    source, target = fail(subscription, "no paper", NOW), fail(subscription, "no ink", NOW - HOUR)
    FailureGroup.objects.filter(pk=target.pk).update(status="resolved", resolved_at=NOW)
    Notification.objects.filter(failure_group=target).update(status="resolved", resolved_at=NOW)
    merge_cases(source=source, target=target, actor=ADA, now=NOW)
    target.refresh_from_db()
    assert (target.status, target.resolved_at, target.seen_at) == ("open", None, NOW - HOUR)
    assert list(Notification.objects.open().values_list("failure_group", flat=True)) == [target.pk]


def test_comments_ticket_and_trend_move_along(subscription: Any) -> None:
    source, target = fail(subscription, "no paper", count=3), fail(subscription, "no ink")
    comment_on_case(case=source, text="It is in the cupboard.", actor=ADA)
    set_ticket(case=source, url="https://tickets.example.com/1", actor=ADA)
    count_hours(NOW)
    merge_cases(source=source, target=target, actor=ADA, now=NOW)
    target.refresh_from_db()
    assert comments_of(target).get().text == "It is in the cupboard."
    assert target.ticket_url == "https://tickets.example.com/1"
    assert trends([target], NOW)[target.pk][-1] == 4


def test_what_is_being_sent_follows_the_rule_when_it_fails(subscription: Any) -> None:
    source, target = fail(subscription, "no paper"), fail(subscription, "no ink")
    sending = DeliveryFactory(
        subscription=subscription, status="sending", lease="00000000-0000-0000-0000-000000000001", failure_group=source
    )
    rule = merge_cases(source=source, target=target, actor=ADA, now=NOW)
    sending.refresh_from_db()
    assert (sending.failure_group, rule.is_settled) == (source, False)
    assert record([sending], "no paper", NOW + HOUR) == target
    settle_rules(NOW + HOUR)
    rule.refresh_from_db()
    assert (rule.is_settled, members(source), members(target)) == (True, 0, 3)


def test_a_failure_recorded_while_its_case_was_being_merged_is_caught_up_with(subscription: Any) -> None:
    source, target = fail(subscription, "no paper"), fail(subscription, "no ink")
    merge_cases(source=source, target=target, actor=ADA, now=NOW)
    # An engine that had read the rules before.
    rule = CaseRule.objects.get()
    CaseRule.objects.all().delete()
    assert fail(subscription, "no paper", NOW + HOUR, count=2) == source
    rule.save(force_insert=True)
    assert settle_rules(NOW + HOUR) == 2
    source.refresh_from_db()
    target.refresh_from_db()
    assert (source.status, source.occurrences, target.occurrences, members(target)) == ("resolved", 0, 4, 4)
    assert list(Notification.objects.open().values_list("failure_group", flat=True)) == [target.pk]


def test_many_are_moved_in_batches(subscription: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_rules, "BATCH", 2)
    source, target = fail(subscription, "no paper", count=7), fail(subscription, "no ink")
    rule = merge_cases(source=source, target=target, actor=ADA, now=NOW)
    assert (rule.is_settled, members(source)) == (False, 5)
    assert settle_rules(NOW) == 5
    rule.refresh_from_db()
    assert (rule.is_settled, members(target)) == (True, 8)
    split = split_case(case=target, field="id", operator="missing", value="", actor=ADA, now=NOW)
    settle_rules(NOW)
    split.refresh_from_db()
    assert (split.is_settled, members(split.target), members(target)) == (True, 8, 0)


def test_merges_follow_one_another_and_never_go_round(subscription: Any) -> None:
    one, two, three = (fail(subscription, text) for text in ("no paper", "no ink", "no power"))
    merge_cases(source=one, target=two, actor=ADA, now=NOW)
    merge_cases(source=two, target=three, actor=ADA, now=NOW)
    assert fail(subscription, "no paper") == three
    with pytest.raises(CaseError, match="was merged into case"):
        merge_cases(source=three, target=one, actor=ADA, now=NOW)
    with pytest.raises(CaseError, match="the case itself"):
        merge_cases(source=three, target=three, actor=ADA, now=NOW)
    assert not reopen_group(group=one, actor=ADA)


def test_cases_of_different_integrations_are_not_merged(subscription: Any) -> None:
    source, elsewhere = fail(subscription, "no paper"), FailureGroupFactory()
    with pytest.raises(CaseError, match="one integration"):
        merge_cases(source=source, target=elsewhere, actor=ADA)
    assert CaseRule.objects.count() == 0


def test_a_rule_that_is_removed_holds_no_longer(subscription: Any) -> None:
    source, target = fail(subscription, "no paper"), fail(subscription, "no ink")
    rule = merge_cases(source=source, target=target, actor=ADA, now=NOW)
    remove_rule(rule=rule, actor=ADA)
    assert fail(subscription, "no paper", NOW + HOUR) == source
    assert members(target) == 2


def test_a_split_case_takes_what_meets_its_condition_now_and_later(subscription: Any) -> None:
    case = fail(subscription, "no paper", address={"country": "DE"}, count=2)
    fail(subscription, "no paper", address={"country": "CH"})
    rule = split_case(case=case, field="address.country", operator="is", value="DE", actor=ADA, now=NOW)
    case.refresh_from_db()
    assert (members(rule.target), members(case)) == (2, 1)
    assert (rule.target.status, rule.target.occurrences, case.occurrences) == ("open", 2, 1)
    assert fail(subscription, "no paper", NOW + HOUR, address={"country": "DE"}) == rule.target
    assert fail(subscription, "no paper", NOW + HOUR, address={"country": "FR"}) == case
    with pytest.raises(CaseError, match="split off already"):
        split_case(case=case, field="address.country", operator="is", value="DE", actor=ADA, now=NOW)


def test_what_was_split_off_stays_apart_when_the_rest_is_merged(subscription: Any) -> None:
    case, other = fail(subscription, "no paper", country="CH"), fail(subscription, "no ink")
    part = split_case(case=case, field="country", operator="is", value="DE", actor=ADA, now=NOW).target
    merge_cases(source=case, target=other, actor=ADA, now=NOW)
    assert fail(subscription, "no paper", country="DE") == part
    assert fail(subscription, "no paper", country="CH") == other


def test_what_was_split_off_can_be_merged_back(subscription: Any) -> None:
    case = fail(subscription, "no paper", country="DE")
    part = split_case(case=case, field="country", operator="is", value="DE", actor=ADA, now=NOW).target
    merge_cases(source=part, target=case, actor=ADA, now=NOW)
    assert fail(subscription, "no paper", country="DE") == case
    assert members(case) == 2


def test_a_split_that_fits_nothing_yet_waits_resolved(subscription: Any) -> None:
    case = fail(subscription, "no paper in tray 1")
    part = split_case(case=case, field="error", operator="contains", value="tray B", actor=ADA, now=NOW).target
    assert (part.status, members(case)) == ("resolved", 1)
    assert list(Notification.objects.open().values_list("failure_group", flat=True)) == [case.pk]


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [("", "is", "x"), ("a", "like", "x"), ("a", "is", ""), ("error", "missing", ""), ("a", "missing", "x"),
     ("a\0", "is", "x"), ("a", "is", "x" * 301)],
)  # fmt: skip
def test_a_condition_that_means_nothing_is_refused(subscription: Any, field: str, operator: str, value: str) -> None:
    case = fail(subscription, "no paper")
    with pytest.raises(CaseError):
        split_case(case=case, field=field, operator=operator, value=value, actor=ADA)
    assert FailureGroup.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("a.b", "is", "x", True),
        ("a.b", "is", "xy", False),
        ("a.b", "starts_with", "X", True),
        ("n", "is", "7", True),
        ("n", "contains", "7", True),
        ("t", "is", "true", True),
        ("none", "missing", "", True),
        ("blank", "missing", "", True),
        ("a.b", "missing", "", False),
        ("none", "is", "x", False),
        ("list[1]", "is", "two", True),
        ("list[9]", "missing", "", True),
        ("/a/b", "is", "x", True),
        ("error", "contains", "PAPER", True),
        ("a", "contains", '"b"', True),
    ],
)
def test_conditions_are_read_as_people_write_them(field: str, operator: str, value: str, expected: bool) -> None:
    payload = {"a": {"b": "x"}, "n": 7, "t": True, "none": None, "blank": " ", "list": ["one", "two"]}
    assert meets(field, operator, value, message="no paper", payload=payload) is expected


def test_without_rules_a_batch_of_failures_costs_one_query_more_and_no_parsing(subscription: Any) -> None:
    deliveries = [DeliveryFactory(subscription=subscription, status="failed") for _ in range(20)]
    failures = [Failure(one.id, one.store_id, one.integration_id, "x", "no", ("not JSON",)) for one in deliveries]
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        group_failures(failures, NOW)
    assert sum("deliveries_caserule" in query["sql"] for query in queries) == 1
