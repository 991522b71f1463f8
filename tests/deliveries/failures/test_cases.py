"""A case is somebody's, has comments and a ticket, sleeps until a time or a number, and comes back with a mark."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import transaction

from deliveries import hooks, tasks
from deliveries.failures.cases import (
    CaseError,
    assign_case,
    comment_on_case,
    comments_of,
    set_ticket,
    snooze_case,
    wake_case,
    wake_due,
)
from deliveries.failures.groups import Failure, group_failures, reopen_group, resolve_group
from deliveries.failures.people import managers_of, staff_of
from deliveries.failures.trend import KEPT, count_hours, hour_of, trends
from deliveries.models import CaseComment, Delivery, FailureGroup, FailureHour
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, StaffProfile
from tests.factories import DeliveryFactory, FailureGroupFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = Actor(None, "ada")


def person(role: str, *stores: Any, **values: Any) -> Any:
    user = UserFactory(is_superuser=False, **values)
    user.groups.add(Group.objects.get(name=role))
    user.stores.set(stores)
    if not stores:
        StaffProfile.objects.create(user=user, sees_all_stores=True)
    return user


def fail(delivery: Delivery, now: datetime, times: int = 1) -> FailureGroup:
    failure = Failure(delivery.id, delivery.store_id, delivery.integration_id, "http_500", "out of paper")
    with transaction.atomic():
        [pk] = group_failures([failure] * times, now).values()
    return FailureGroup.objects.get(pk=pk)


@pytest.fixture
def case() -> FailureGroup:
    return fail(DeliveryFactory(status="failed"), NOW)


@pytest.fixture
def woken() -> Iterator[list[int]]:
    heard: list[int] = []
    with hooks.cases_woken.connected(lambda ids, now: heard.extend(ids)):
        yield heard


def actions(case: FailureGroup) -> list[str]:
    rows = AuditEntry.objects.filter(target_type="failuregroup", target_id=str(case.pk)).order_by("id")
    return list(rows.values_list("action", flat=True))


def test_a_case_is_given_to_somebody_with_a_note_that_becomes_a_comment(case: FailureGroup) -> None:
    max_ = person("Manager", username="max")
    heard: list[Any] = []
    with hooks.case_assigned.connected(lambda *what: heard.append(what)):
        assign_case(case=case, assignee=max_, actor=ADA, note=" The token is wrong. ", now=NOW)
        assign_case(case=case, assignee=max_, actor=ADA, now=NOW)
    case.refresh_from_db()
    assert case.assignee == max_
    assert heard == [(case.pk, max_.pk, "ada", "The token is wrong.", NOW)]
    assert comments_of(case).get().text == "The token is wrong."
    assert actions(case) == ["comment", "assign"]
    assign_case(case=case, assignee=None, actor=ADA, now=NOW)
    case.refresh_from_db()
    assert case.assignee is None


def test_who_takes_a_case_is_not_told_so(case: FailureGroup) -> None:
    user = person("Operator")
    heard: list[Any] = []
    with hooks.case_assigned.connected(lambda *what: heard.append(what)):
        assign_case(case=case, assignee=user, actor=Actor.of_user(user), now=NOW)
    assert heard == []


def test_a_case_goes_only_to_people_who_see_it(case: FailureGroup) -> None:
    elsewhere = person("Manager", StoreFactory())
    with pytest.raises(CaseError, match="cannot see cases of this store"):
        assign_case(case=case, assignee=elsewhere, actor=ADA)
    assert actions(case) == []


def test_managers_are_those_who_may_repair_an_integration_of_the_store(case: FailureGroup) -> None:
    here, everywhere = person("Manager", case.store), person("Manager")
    operator, root = person("Operator"), UserFactory()
    person("Manager", StoreFactory())
    person("Manager", is_active=False)
    assert set(managers_of(case.store_id)) == {here, everywhere, root}
    assert set(staff_of(case.store_id)) == {here, everywhere, operator, root}


def test_comments_are_added_and_never_changed(case: FailureGroup) -> None:
    comment = comment_on_case(case=case, text=" The sender knows. ", actor=ADA, now=NOW)
    comment.text = "They do not."
    with pytest.raises(TypeError):
        comment.save()
    assert CaseComment.objects.get().text == "The sender knows."
    for text in (" \n ", "x" * 10_001, "a\0b"):
        with pytest.raises(CaseError):
            comment_on_case(case=case, text=text, actor=ADA)
    assert CaseComment.objects.count() == 1


@pytest.mark.parametrize("url", ["http://tickets.example.com/1", "javascript:alert(1)", "https://", "ticket 4711",
                                 "https://ada:secret@tickets.example.com/1", "https://a.example/" + "x" * 500])  # fmt: skip
def test_only_a_whole_https_address_is_a_ticket(case: FailureGroup, url: str) -> None:
    with pytest.raises(CaseError) as refused:
        set_ticket(case=case, url=url, actor=ADA)
    assert refused.value.field == "ticket"
    case.refresh_from_db()
    assert case.ticket_url == ""


def test_a_ticket_is_linked_and_taken_away(case: FailureGroup) -> None:
    assert set_ticket(case=case, url="https://tickets.example.com/4711", actor=ADA).ticket_url
    assert set_ticket(case=case, url="", actor=ADA).ticket_url == ""
    assert actions(case) == ["link_ticket", "link_ticket"]


def test_a_case_that_is_snoozed_until_a_time_wakes_then(case: FailureGroup, woken: list[int]) -> None:
    snooze_case(case=case, actor=ADA, until=NOW + HOUR, now=NOW)
    assert list(FailureGroup.objects.snoozed(NOW)) == [case]
    assert list(FailureGroup.objects.awake(NOW)) == []
    assert (wake_due(NOW + HOUR / 2), woken) == (0, [])
    assert (wake_due(NOW + HOUR), woken) == (1, [case.pk])
    assert list(FailureGroup.objects.awake(NOW)) == [case]
    assert wake_due(NOW + HOUR) == 0


def test_a_case_that_is_snoozed_until_it_fails_more_wakes_then(woken: list[int]) -> None:
    delivery = DeliveryFactory(status="failed")
    case = fail(delivery, NOW)
    assert snooze_case(case=case, actor=ADA, more=3, now=NOW).failures_to_wake == 3
    fail(delivery, NOW, times=2)
    assert (wake_due(NOW), woken) == (0, [])
    fail(delivery, NOW)
    assert (wake_due(NOW), woken) == (1, [case.pk])


def test_whichever_end_of_a_snooze_comes_first_ends_it(woken: list[int]) -> None:
    delivery = DeliveryFactory(status="failed")
    case = fail(delivery, NOW)
    snooze_case(case=case, actor=ADA, until=NOW + HOUR, more=1, now=NOW)
    case.refresh_from_db()
    assert case.is_snoozed_at(NOW)
    assert not case.is_snoozed_at(NOW + HOUR)
    case = fail(delivery, NOW)
    assert not case.is_snoozed_at(NOW)
    assert list(FailureGroup.objects.awake(NOW)) == [case]
    assert wake_due(NOW) == 1


def test_a_resolved_case_sleeps_on_in_silence_and_is_not_announced(case: FailureGroup, woken: list[int]) -> None:
    snooze_case(case=case, actor=ADA, until=NOW + HOUR, now=NOW)
    FailureGroup.objects.update(status="resolved", resolved_at=NOW)
    assert (wake_due(NOW + HOUR), woken) == (1, [])


def test_who_ends_a_snooze_or_resolves_a_case_wakes_nobody(case: FailureGroup, woken: list[int]) -> None:
    snooze_case(case=case, actor=ADA, until=NOW + HOUR, now=NOW)
    wake_case(case=case, actor=ADA)
    snooze_case(case=case, actor=ADA, until=NOW + HOUR, now=NOW)
    resolve_group(group=case, actor=ADA, now=NOW)
    assert (case.snoozed_until, wake_due(NOW + HOUR), woken) == (None, 0, [])
    assert actions(case) == ["snooze", "wake", "snooze", "resolve"]


@pytest.mark.parametrize(
    "values",
    [{}, {"until": NOW}, {"until": NOW - HOUR}, {"until": NOW + timedelta(days=400)}, {"more": 0}, {"more": 2_000_000}],
)
def test_a_snooze_has_an_end_that_can_come(case: FailureGroup, values: dict[str, Any]) -> None:
    with pytest.raises(CaseError):
        snooze_case(case=case, actor=ADA, now=NOW, **values)
    assert actions(case) == []


def test_nobody_snoozes_what_is_resolved(case: FailureGroup) -> None:
    resolve_group(group=case, actor=ADA, now=NOW)
    with pytest.raises(CaseError, match="resolved") as refused:
        snooze_case(case=case, actor=ADA, more=5, now=NOW)
    assert refused.value.is_conflict


def test_a_case_that_fails_again_after_it_was_resolved_came_back() -> None:
    delivery = DeliveryFactory(status="failed")
    case = fail(delivery, NOW)
    assert (case.returned_at, case.return_count, case.first_seen) == (None, 0, NOW)
    resolve_group(group=case, actor=ADA, now=NOW)
    case = fail(delivery, NOW + HOUR)
    assert (case.status, case.returned_at, case.return_count, case.first_seen) == ("open", NOW + HOUR, 1, NOW)
    case = fail(delivery, NOW + 2 * HOUR)
    assert (case.returned_at, case.return_count) == (NOW + HOUR, 1)
    resolve_group(group=case, actor=ADA, now=NOW + 3 * HOUR)
    reopen_group(group=case, actor=ADA, now=NOW + 3 * HOUR)
    assert (case.status, case.returned_at) == ("open", None)


def test_the_trend_shows_each_hour_and_what_is_not_counted_yet() -> None:
    delivery = DeliveryFactory(status="failed")
    case = fail(delivery, NOW - 2 * HOUR, times=3)
    assert count_hours(NOW) == 1
    case = fail(delivery, NOW, times=2)
    assert trends([case], NOW)[case.pk][-3:] == [3, 0, 2]
    assert (count_hours(NOW), count_hours(NOW)) == (1, 0)
    case = FailureGroup.objects.get()
    assert trends([case], NOW)[case.pk][-3:] == [3, 0, 2]
    assert trends([case], NOW, bars=28, hours=6)[case.pk][-1] == 5


def test_what_failed_before_trends_were_kept_is_in_no_hour() -> None:
    case = FailureGroupFactory(occurrences=500, last_at=NOW)
    assert count_hours(NOW) == 1
    assert sum(trends([FailureGroup.objects.get()], NOW)[case.pk]) == 0


def test_the_minutely_task_says_what_it_did(case: FailureGroup) -> None:
    FailureGroup.objects.update(snoozed_until=NOW)
    assert tasks.look_after_cases() == "1 woken, 0 deliveries moved, 1 counted"


def test_old_hours_are_forgotten(case: FailureGroup) -> None:
    FailureHour.objects.create(case=case, start=hour_of(NOW - KEPT - HOUR), failures=7)
    count_hours(NOW)
    assert list(FailureHour.objects.values_list("start", "failures")) == [(hour_of(NOW), 1)]
