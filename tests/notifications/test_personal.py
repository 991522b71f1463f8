"""Notices to one person: on the dashboard until read, by e-mail once; and who is told of a case and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core import mail

from deliveries import hooks
from deliveries.failures.cases import assign_case, snooze_case, wake_due
from deliveries.failures.groups import resolve_group
from deliveries.hooks import DeliveryChange
from deliveries.models import Delivery, FailureGroup, Revision
from integrations.foundation.audit import Actor
from integrations.models import StaffProfile
from notifications import outbox, personal, tasks
from notifications.models import Channel, ChannelMessage, Notification, PersonalNotice
from notifications.personal import MAIL_EVERY, on_page_opened, send_mails, tell_approvers, unread
from notifications.services import reopen_notification
from tests.factories import DeliveryFactory, FailureGroupFactory, StoreFactory, SubscriptionFactory, UserFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADA = Actor(None, "ada")
SMTP = "django.core.mail.backends.smtp.EmailBackend"


def person(role: str, **values: Any) -> Any:
    user = UserFactory(is_superuser=False, **values)
    user.groups.add(Group.objects.get(name=role))
    StaffProfile.objects.create(user=user, sees_all_stores=True)
    return user


@pytest.fixture
def max_() -> Any:
    return person("Manager", username="max")


def failing(group: FailureGroup | None = None) -> tuple[Delivery, FailureGroup]:
    group = group or FailureGroupFactory(message="out of paper")
    subscription = SubscriptionFactory(integration=group.integration)
    return DeliveryFactory(subscription=subscription, status="failed", failure_group=group), group


def fail(delivery: Delivery, group: FailureGroup, now: datetime = NOW) -> None:
    FailureGroup.objects.filter(pk=group.pk).update(status="open", resolved_at=None)
    change = DeliveryChange(delivery.id, delivery.store_id, delivery.integration_id, "failed", None, group.pk, "no")
    hooks.settled([change], now)


def awaiting(store: Any, author: Any, at: datetime = NOW, **values: Any) -> Revision:
    delivery = DeliveryFactory(subscription__integration__store=store, status="failed")
    revision: Revision = Revision.objects.create(
        delivery=delivery, number=1, data={"id": "1"}, patch=[], author=author, author_name=str(author),
        is_awaiting_approval=True, **values,
    )  # fmt: skip
    Revision.objects.filter(pk=revision.pk).update(created_at=at)
    revision.people.add(author)
    return revision


def test_who_is_given_a_case_is_told_with_the_note_and_mailed_once(max_: Any) -> None:
    _, group = failing()
    assign_case(case=group, assignee=max_, actor=ADA, note="The token is wrong.", now=NOW)
    notice = unread(max_).get()
    assert notice.text == f"ada gave you the case {group.integration.name}: out of paper: “The token is wrong.”"
    assert (send_mails(NOW), send_mails(NOW)) == (1, 0)
    [sent] = mail.outbox
    assert (sent.to, "gave you the case" in sent.subject) == ([max_.email], True)
    assert f"/admin/deliveries/failuregroup/{group.pk}/change/" in sent.body


def test_who_has_no_address_is_told_on_the_dashboard_only() -> None:
    user = person("Operator", email="")
    _, group = failing()
    assign_case(case=group, assignee=user, actor=ADA, now=NOW)
    assert (unread(user).count(), send_mails(NOW)) == (1, 0)


def test_a_mail_that_is_refused_is_shown_as_failed_and_the_notice_stays(settings: Any) -> None:
    # Nothing listens there.
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", 9
    _, group = failing()
    assign_case(case=group, assignee=person("Manager"), actor=ADA, now=NOW)
    assert send_mails(NOW) == 0
    notice = PersonalNotice.objects.get()
    assert (notice.mail, bool(notice.mail_error), notice.read_at) == ("failed", True, None)


def test_opening_the_page_reads_the_notice_and_a_mail_is_then_not_needed(max_: Any) -> None:
    _, group = failing()
    assign_case(case=group, assignee=max_, actor=ADA, now=NOW)
    on_page_opened(UserFactory().pk, PersonalNotice.objects.get().path, NOW)
    assert unread(max_).count() == 1
    on_page_opened(max_.pk, PersonalNotice.objects.get().path, NOW)
    assert (unread(max_).count(), send_mails(NOW)) == (0, 0)


def test_the_assignee_is_told_when_a_case_comes_back(max_: Any) -> None:
    delivery, group = failing()
    fail(delivery, group)
    assign_case(case=group, assignee=max_, actor=ADA, now=NOW)
    resolve_group(group=group, actor=ADA, now=NOW)
    on_page_opened(max_.pk, PersonalNotice.objects.get().path, NOW)
    FailureGroup.objects.update(returned_at=NOW + HOUR)
    fail(delivery, group, NOW + HOUR)
    assert "came back after it was resolved" in unread(max_).get().text
    fail(delivery, group, NOW + 2 * HOUR)
    assert unread(max_).get().at == NOW + HOUR


def test_people_see_notices_of_stores_that_they_see(max_: Any) -> None:
    _, group = failing()
    assign_case(case=group, assignee=max_, actor=ADA, now=NOW)
    StaffProfile.objects.all().delete()
    assert unread(type(max_).objects.get(pk=max_.pk)).count() == 0


def test_a_snoozed_case_sends_no_message_until_it_wakes() -> None:
    Channel.objects.create(name="on call", kind="email", recipients=["oncall@example.com"])
    delivery, group = failing()
    snooze_case(case=group, actor=ADA, until=NOW + HOUR, now=NOW)
    fail(delivery, group)
    hooks.groups_resolved([group.pk], "auto", NOW)
    fail(delivery, group)
    assert (Notification.objects.get().status, ChannelMessage.objects.count()) == ("open", 0)
    wake_due(NOW + HOUR)
    assert ChannelMessage.objects.count() == 1
    assert outbox.send_waiting(NOW + HOUR).sent == 1


def test_a_message_that_waits_is_dropped_when_its_case_is_snoozed() -> None:
    Channel.objects.create(name="on call", kind="email", recipients=["oncall@example.com"])
    delivery, group = failing()
    fail(delivery, group)
    FailureGroup.objects.update(snoozed_to_count=1_000)
    count = outbox.send_waiting(NOW)
    assert (count.sent, count.dropped, mail.outbox) == (0, 1, [])


def test_reopening_either_of_case_and_notification_reopens_both() -> None:
    from deliveries.failures.groups import reopen_group

    delivery, group = failing()
    fail(delivery, group)
    resolve_group(group=group, actor=ADA, now=NOW)
    assert Notification.objects.get().status == "resolved"
    reopen_group(group=group, actor=ADA, now=NOW)
    assert (Notification.objects.get().status, Notification.objects.get().resolved_at) == ("open", None)
    resolve_group(group=group, actor=ADA, now=NOW)
    reopen_notification(notification=Notification.objects.get(), actor=ADA, now=NOW)
    group.refresh_from_db()
    assert (group.status, Notification.objects.get().status) == ("open", "open")


def test_those_who_may_approve_are_told_once_of_all_that_wait(max_: Any) -> None:
    store, olga = StoreFactory(name="Garden"), person("Operator")
    for _ in range(3):
        awaiting(store, olga)
    assert (tell_approvers(NOW), tell_approvers(NOW)) == (1, 0)
    assert unread(max_).get().text == "3 changes of Garden await approval"
    assert unread(olga).count() == 0
    assert unread(max_).get().path == "/admin/deliveries/delivery/approvals/"


def test_nobody_is_told_of_their_own_edits(max_: Any) -> None:
    store, other = StoreFactory(name="Garden"), person("Manager")
    awaiting(store, max_)
    assert tell_approvers(NOW) == 1
    assert (unread(max_).count(), unread(other).get().text) == (0, "1 change of Garden awaits approval")


def test_more_edits_are_told_again_and_mailed_now_and_then(max_: Any) -> None:
    store, olga = StoreFactory(name="Garden"), person("Operator")
    awaiting(store, olga)
    tell_approvers(NOW)
    assert send_mails(NOW) == 1
    awaiting(store, olga, NOW + timedelta(minutes=1))
    assert tell_approvers(NOW + timedelta(minutes=2)) == 1
    assert send_mails(NOW + timedelta(minutes=2)) == 0
    assert unread(max_).get().text.startswith("2 ")
    awaiting(store, olga, NOW + MAIL_EVERY)
    tell_approvers(NOW + MAIL_EVERY)
    assert send_mails(NOW + MAIL_EVERY) == 1


def test_when_nothing_waits_any_more_the_notice_is_over(max_: Any) -> None:
    revision = awaiting(StoreFactory(), person("Operator"))
    tell_approvers(NOW)
    Revision.objects.filter(pk=revision.pk).update(is_awaiting_approval=False)
    tell_approvers(NOW)
    assert (unread(max_).count(), send_mails(NOW)) == (0, 0)


def test_the_minutely_task_tells_and_mails(max_: Any) -> None:
    awaiting(StoreFactory(), person("Operator"))
    assert tasks.send_waiting() == "1 sent, 0 failed, 0 dropped"


def test_notices_that_were_read_long_ago_are_forgotten(max_: Any) -> None:
    _, group = failing()
    assign_case(case=group, assignee=max_, actor=ADA, now=NOW)
    assert personal.prune_notices(NOW + HOUR) == 0
    on_page_opened(max_.pk, PersonalNotice.objects.get().path, NOW)
    assert personal.prune_notices(NOW + HOUR) == 1
