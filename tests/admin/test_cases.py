"""The pages of cases: found under their tabs, worked on by who may, and approvals by who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.models import CaseComment, Delivery, FailureGroup
from deliveries.resolution import edit_delivery
from integrations.foundation.audit import Actor
from integrations.models import Store
from notifications.models import PersonalNotice
from tests.factories import DeliveryFactory, FailureGroupFactory, NotificationFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db

LIST = "admin:deliveries_failuregroup_changelist"


def page(case: Any) -> str:
    return reverse("admin:deliveries_failuregroup_change", args=[case.pk])


def work(client: Client, case: Any, action: str, **data: Any) -> Any:
    url = reverse("admin:deliveries_failuregroup_work", args=[case.pk])
    return client.post(url, {"action": action, **data}, follow=True)


def shown(client: Client, tab: str) -> set[int]:
    return {case.pk for case in client.get(reverse(LIST), {"tab": tab}).context["cases"]}


def test_each_case_is_under_its_tabs(browse: Callable[..., Client]) -> None:
    client = browse("Operator", username="olga")
    now = timezone.now()
    olga = client.get(reverse(LIST)).wsgi_request.user
    free, mine = FailureGroupFactory(), FailureGroupFactory(assignee_id=olga.pk)
    back = FailureGroupFactory(returned_at=now, assignee=UserFactory())
    asleep = FailureGroupFactory(snoozed_until=now + timedelta(hours=1))
    gone = FailureGroupFactory(status="resolved", resolved_at=now)
    assert shown(client, "open") == {free.pk, mine.pk, back.pk}
    assert shown(client, "mine") == {mine.pk}
    assert shown(client, "unassigned") == {free.pk}
    assert shown(client, "returned") == {back.pk}
    assert shown(client, "snoozed") == {asleep.pk}
    assert shown(client, "resolved") == {gone.pk}
    DeliveryFactory()
    assert client.get(reverse("admin:index")).context["group_count"] == "3"


def test_what_is_open_and_no_case_stands_below_the_cases(admin: Client, staff: Callable[..., Any]) -> None:
    notice = NotificationFactory(summary="The ERP was disabled.")
    found = admin.get(reverse(LIST)).content.decode()
    assert "The ERP was disabled." in found
    admin.post(reverse("admin:notifications_notification_resolve", args=[notice.pk]), {"cases": "1"})
    assert "The ERP was disabled." not in admin.get(reverse(LIST)).content.decode()


def test_an_operator_hands_a_case_to_a_manager_who_finds_it(
    browse: Callable[..., Client], staff: Callable[..., Any], failed: Callable[..., Delivery]
) -> None:
    case = failed().failure_group
    max_ = staff("Manager", username="max")
    operator = browse("Operator", username="olga")
    assert "Hand to a manager" in operator.get(page(case)).content.decode()
    answer = work(operator, case, "assign", assignee=max_.pk, note="The token <b>expired</b>.")
    assert "The case is assigned to max now." in answer.content.decode()
    assert "The token &lt;b&gt;expired&lt;/b&gt;." in answer.content.decode()
    manager = Client()
    manager.force_login(max_)
    assert "olga gave you the case" in manager.get(reverse("admin:index")).content.decode()
    assert "Hand to a manager" not in manager.get(page(case)).content.decode()
    assert PersonalNotice.objects.get().read_at is not None
    assert "olga gave you the case" not in manager.get(reverse("admin:index")).content.decode()


def test_a_notice_is_read_by_who_it_is_for(browse: Callable[..., Client], failed: Callable[..., Delivery]) -> None:
    client, case = browse("Manager", username="max"), failed().failure_group
    max_ = client.get(reverse("admin:index")).wsgi_request.user
    work(browse("Operator"), case, "assign", assignee=max_.pk)
    notice = PersonalNotice.objects.get()
    url = reverse("admin:notifications_notification_notice", args=[notice.pk])
    assert browse("Manager").post(url).status_code == 404
    assert client.post(url).status_code == 302
    notice.refresh_from_db()
    assert notice.read_at is not None


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("assign", {"assignee": "me"}),
        ("comment", {"text": "looking"}),
        ("snooze", {"for": "1h"}),
        ("snooze", {"until": "2999-01-01T08:00", "more": "5"}),
        ("ticket", {"ticket": "http://x.example"}),
        ("merge", {"into": "999999"}),
        ("split", {"field": "id", "operator": "is", "value": "7"}),
        ("unrule", {"rule": "7"}),
        ("wake", {}),
    ],
)
def test_only_who_may_resolve_works_on_a_case(
    browse: Callable[..., Client], failed: Callable[..., Delivery], action: str, data: dict[str, str]
) -> None:
    case = failed().failure_group
    before = FailureGroup.objects.values().get()
    url = reverse("admin:deliveries_failuregroup_work", args=[case.pk])
    assert browse("Viewer").post(url, {"action": action, **data}).status_code == 403
    assert browse("Operator", stores=[StoreFactory()]).post(url, {"action": action, **data}).status_code == 404
    assert FailureGroup.objects.values().get() == before
    assert browse("Operator").post(url, {"action": action, **data}).status_code == 302


def test_a_viewer_reads_a_case_and_finds_nothing_to_press(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    case = failed().failure_group
    CaseComment.objects.create(case=case, author_name="ada", text="It is known.", created_at=timezone.now())
    found = browse("Viewer").get(page(case)).content.decode()
    assert "It is known." in found
    assert 'name="action"' not in found


def test_odd_input_is_refused_in_words_and_changes_nothing(admin: Client, failed: Callable[..., Delivery]) -> None:
    case = failed().failure_group
    for action, data, words in (
        ("snooze", {"for": "", "until": "yesterday"}, "date and a time of day"),
        ("snooze", {"for": ""}, "Say until when"),
        ("snooze", {"for": "", "more": "many"}, "whole number"),
        ("assign", {"assignee": "999999"}, "Choose somebody else"),
        ("merge", {"into": "x"}, "Choose the case"),
        ("comment", {"text": " "}, "Write a comment"),
        ("ticket", {"ticket": "ftp://x"}, "https://"),
    ):
        answer = work(admin, case, action, **data).content.decode()
        assert words in answer and "Nothing was changed." in answer
    assert work(admin, case, "explode").status_code == 404


def test_a_merged_case_leads_to_the_one_it_is_in(admin: Client, failed: Callable[..., Delivery]) -> None:
    case = failed(others=3).failure_group
    target = FailureGroupFactory(integration=case.integration, message="no ink")
    answer = work(admin, case, "merge", into=target.pk)
    assert answer.redirect_chain[-1][0] == page(target)
    assert "counts here too" in answer.content.decode()
    rule = target.fed_by.get()
    assert "The rule is removed" in work(admin, target, "unrule", rule=rule.pk).content.decode()
    assert admin.get(page(case)).status_code == 200


def edited(failed: Callable[..., Delivery], author: Any, others: int = 2) -> list[Delivery]:
    first = failed(others)
    Store.objects.update(is_approval_required=True)
    rows = list(Delivery.objects.filter(failure_group=first.failure_group).order_by("id"))
    for row in rows:
        payload = {**row.event.data, "status": "sent again"}
        edit_delivery(delivery=Delivery.objects.get(pk=row.pk), payload=payload, actor=Actor.of_user(author))
    return rows


def test_a_manager_approves_a_batch_from_the_dashboard_on(
    browse: Callable[..., Client], staff: Callable[..., Any], failed: Callable[..., Delivery]
) -> None:
    edited(failed, staff("Operator", username="olga"))
    client = browse("Manager")
    assert "3 changes await approval" in client.get(reverse("admin:index")).content.decode()
    inbox = client.get(reverse("admin:deliveries_approvals"))
    [batch] = inbox.context["batches"]
    assert "Approve and send 3" in inbox.content.decode()
    answer = client.post(
        reverse("admin:deliveries_approvals"),
        {"decision": "approve", "batch": batch.key, "seen": "2"},
        follow=True,
    )
    assert "2 edited payloads approved and being sent." in answer.content.decode()
    assert Delivery.objects.filter(status="pending").count() == 2


def test_single_edits_of_a_batch_are_chosen_and_rejected_with_a_reason(
    browse: Callable[..., Client], staff: Callable[..., Any], failed: Callable[..., Delivery]
) -> None:
    edited(failed, staff("Operator"))
    client = browse("Manager")
    [batch] = client.get(reverse("admin:deliveries_approvals")).context["batches"]
    one = client.get(reverse("admin:deliveries_approval_batch", args=[batch.deliveries[0]]))
    assert one.content.decode().count('name="revision"') == 3
    data = {"decision": "reject", "revision": str(batch.ids[0]), "reason": "wrong"}
    answer = client.post(reverse("admin:deliveries_approvals"), data, follow=True)
    assert "1 edited payload rejected. Nothing was sent." in answer.content.decode()
    gone = client.get(reverse("admin:deliveries_approval_batch", args=[batch.deliveries[0]]), follow=True)
    assert "Nothing of this batch" in gone.content.decode()


def test_only_who_may_approve_decides(
    browse: Callable[..., Client], staff: Callable[..., Any], failed: Callable[..., Delivery]
) -> None:
    edited(failed, staff("Operator"))
    operator = browse("Operator")
    assert "Approve and send" not in operator.get(reverse("admin:deliveries_approvals")).content.decode()
    url = reverse("admin:deliveries_approvals")
    assert operator.post(url, {"decision": "approve"}).status_code == 403
    manager = browse("Manager")
    assert manager.post(url, {"decision": "maybe"}).status_code == 404
    assert manager.post(url, {"decision": "approve", "revision": "x"}).status_code == 404
    answer = manager.post(url, {"decision": "approve", "batch": "x", "seen": "1"}, follow=True)
    assert "Nothing was selected" in answer.content.decode()
    assert Delivery.objects.filter(status="pending").count() == 0
