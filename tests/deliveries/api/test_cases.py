"""`/api/v1/cases`: list, read, assign, comment, snooze, link, merge, split; of the own store only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from deliveries.models import FailureGroup
from integrations.models import AuditEntry, StaffProfile
from tests.api_client import ApiClient
from tests.factories import DeliveryFactory, FailureGroupFactory, IntegrationFactory, SubscriptionFactory, UserFactory

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
def case(client: ApiClient) -> FailureGroup:
    integration = IntegrationFactory(store=client.store, slug="mirror")
    made: FailureGroup = FailureGroupFactory(
        integration=integration, message="out of paper", occurrences=7, first_at=AT, seen_at=AT
    )
    subscription = SubscriptionFactory(integration=integration)
    DeliveryFactory(subscription=subscription, status="failed", failure_group=made)
    return made


@pytest.fixture
def max_() -> Any:
    user = UserFactory(username="max", is_superuser=False)
    user.groups.add(Group.objects.get(name="Manager"))
    StaffProfile.objects.create(user=user, sees_all_stores=True)
    return user


def test_a_case_is_shown_exactly_so(client: ApiClient, case: FailureGroup) -> None:
    assert client.get(f"cases/{case.public_id}").json() == {
        "id": f"case_{case.pk}",
        "status": "open",
        "title": "out of paper",
        "message": "out of paper",
        "kind": "http_500",
        "integration": "mirror",
        "failing": 1,
        "occurrences": 7,
        "assignee": None,
        "ticket": None,
        "snoozed": False,
        "snoozed_until": None,
        "snoozed_more": None,
        "returned_at": None,
        "return_count": 0,
        "first_seen_at": "2026-01-31T08:00:00Z",
        "opened_at": "2026-01-31T08:00:00Z",
        "last_seen_at": "2026-01-31T08:00:00Z",
        "resolved_at": None,
        "merged_into": None,
    }


def test_cases_are_listed_by_view_person_and_integration(client: ApiClient, case: FailureGroup, max_: Any) -> None:
    now = timezone.now()
    other = FailureGroupFactory(integration=IntegrationFactory(store=client.store), assignee=max_, returned_at=now)
    asleep = FailureGroupFactory(integration=case.integration, snoozed_to_count=99)
    gone = FailureGroupFactory(integration=case.integration, status="resolved", resolved_at=now)
    FailureGroupFactory()

    def listed(query: str = "") -> list[str]:
        return [one["id"] for one in client.get(f"cases{query}").json()["items"]]

    assert listed() == [other.public_id, case.public_id]
    assert listed("?view=unassigned") == [case.public_id]
    assert listed("?view=returned") == listed("?assignee=max") == [other.public_id]
    assert listed("?view=snoozed") == [asleep.public_id]
    assert listed("?view=resolved&integration=mirror") == [gone.public_id]
    assert len(listed("?view=all")) == 4
    assert client.get("cases?view=odd").json()["errors"][0]["field"] == "view"


def test_a_case_is_given_to_a_person_by_name_and_taken_away(client: ApiClient, case: FailureGroup, max_: Any) -> None:
    body = client.post(f"cases/{case.public_id}/assign", {"assignee": "max", "note": "yours"}).json()
    assert body["assignee"] == "max"
    assert client.get(f"cases/{case.public_id}/comments").json()["items"][0]["text"] == "yours"
    assert client.post(f"cases/{case.pk}/assign", {"assignee": None}).json()["assignee"] is None
    assert client.post(f"cases/{case.pk}/assign", {"assignee": "nobody"}).status_code == 400
    assert client.post(f"cases/{case.pk}/assign", {}).json()["errors"][0]["code"] == "missing_parameter"
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"assign", "comment"}


def test_comments_are_added_and_read_newest_first(client: ApiClient, case: FailureGroup) -> None:
    for text in ("first", "second"):
        answer = client.post(f"cases/{case.public_id}/comments", {"text": text})
        assert answer.status_code == 200
    items = client.get(f"cases/{case.public_id}/comments?limit=1").json()
    assert (items["items"][0]["text"], bool(items["pages"]["next"])) == ("second", True)
    assert client.post(f"cases/{case.public_id}/comments", {"text": "  "}).json()["errors"][0]["field"] == "text"


def test_a_case_is_snoozed_and_woken(client: ApiClient, case: FailureGroup) -> None:
    until = (timezone.now() + timedelta(hours=1)).isoformat()
    body = client.post(f"cases/{case.public_id}/snooze", {"until": until, "more": 10}).json()
    assert (body["snoozed"], body["snoozed_more"]) == (True, 10)
    assert client.post(f"cases/{case.public_id}/wake").json()["snoozed"] is False
    for wrong in ({}, {"more": "ten"}, {"more": True}, {"more": 0}, {"until": "soon"}, {"until": "2020-01-01"}):
        assert client.post(f"cases/{case.public_id}/snooze", wrong).status_code == 400


def test_a_ticket_is_https(client: ApiClient, case: FailureGroup) -> None:
    body = client.post(f"cases/{case.public_id}/ticket", {"url": "https://tickets.example.com/1"}).json()
    assert body["ticket"] == "https://tickets.example.com/1"
    assert client.post(f"cases/{case.public_id}/ticket", {"url": "http://x.example"}).status_code == 400
    assert client.post(f"cases/{case.public_id}/ticket", {"url": ""}).json()["ticket"] is None


def test_cases_are_merged_split_resolved_and_reopened(client: ApiClient, case: FailureGroup) -> None:
    other = FailureGroupFactory(integration=case.integration)
    merged = client.post(f"cases/{other.public_id}/merge", {"into": case.public_id})
    assert merged.json()["merged_into"] == case.public_id
    assert client.post(f"cases/{other.public_id}/snooze", {"more": 1}).status_code == 409
    assert client.post(f"cases/{other.public_id}/reopen").status_code == 409
    split = client.post(f"cases/{case.pk}/split", {"field": "status", "operator": "is", "value": "sent"}).json()
    assert (split["failing"], split["status"]) == (1, "open")
    assert client.post(f"cases/{case.pk}/split", {"field": "status"}).json()["errors"][0]["field"] == "operator"
    assert client.post(f"cases/{split['id']}/resolve").json()["status"] == "resolved"
    assert client.post(f"cases/{split['id']}/reopen").json()["status"] == "open"
    assert client.post(f"cases/{case.pk}/merge", {"into": "case_999999"}).json()["errors"][0]["field"] == "into"


@pytest.mark.parametrize("action", ["", "/comments"])
@pytest.mark.parametrize("case_id", ["{other}", "case_0", "case_99999999999999999999", "x", "case_01"])
def test_another_stores_case_and_odd_ids_are_not_found(client: ApiClient, action: str, case_id: str) -> None:
    elsewhere = FailureGroupFactory()
    assert client.get(f"cases/{case_id.format(other=elsewhere.public_id)}{action}").status_code == 404


def test_another_stores_case_is_no_target_either(client: ApiClient, case: FailureGroup) -> None:
    elsewhere = FailureGroupFactory()
    assert client.post(f"cases/{case.pk}/merge", {"into": elsewhere.public_id}).status_code == 400
    assert client.post(f"cases/{elsewhere.pk}/assign", {"assignee": None}).status_code == 404


def test_a_token_for_pushes_only_has_no_business_with_cases(case: FailureGroup, client: ApiClient) -> None:
    pusher = ApiClient(client.store, scopes=("push",))
    assert pusher.get("cases").status_code == 403
    assert pusher.post(f"cases/{case.pk}/comments", {"text": "x"}).status_code == 403
