"""What programs propose, and bulk fixes that await approval, on the desk: found, looked at, decided by who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import BulkFix, Delivery, Proposal
from deliveries.proposals.inbox import proposals_for
from deliveries.recipes.requests import request_fix
from integrations.foundation.audit import Actor
from tests.api_client import ApiClient
from tests.deliveries.proposals.test_proposals import failing, resolve
from tests.deliveries.recipes.morning import FIELD
from tests.factories import StoreFactory, UserFactory

pytestmark = pytest.mark.django_db
INBOX = "admin:deliveries_approvals"


@pytest.fixture
def assistant() -> ApiClient:
    return ApiClient(StoreFactory(name="Garden"), scopes=("propose",))


def proposed(assistant: ApiClient, count: int = 2) -> list[Proposal]:
    for delivery in failing(assistant, count):
        payload = {**delivery.event.data, "phone": "<b>+41</b>"}
        answer = resolve(assistant, delivery, action="edit", payload=payload, reason="no country code")
        assert answer.status_code == 202
    return list(Proposal.objects.order_by("created_at"))


def page(proposal: Proposal) -> str:
    return reverse("admin:deliveries_proposal", args=[proposal.pk])


def text_of(client: Client, address: str, **data: Any) -> str:
    answer = client.post(address, data, follow=True) if data else client.get(address)
    return str(answer.content.decode())


def statuses() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("status", flat=True))


def test_a_batch_says_who_proposes_what_and_is_approved_with_one_click(
    browse: Callable[..., Client], assistant: ApiClient, django_assert_max_num_queries: Any
) -> None:
    proposed(assistant)
    client = browse("Manager")
    assert "2 changes await approval" in text_of(client, reverse("admin:index"))
    inbox = client.get(reverse(INBOX))
    [batch] = inbox.context["proposals"]
    with django_assert_max_num_queries(6):
        proposals_for(inbox.wsgi_request.user)
    content = inbox.content.decode()
    assert (batch.title, batch.author) == ("Edit and resend 2 deliveries", f"token {assistant.token.name}")
    assert "no country code" in content and "Add phone" in content and "<b>+41</b>" not in content
    said = text_of(client, reverse(INBOX), proposals=batch.key, seen="2", decision="approve")
    assert "2 proposals approved." in said and "Nothing awaits approval." in said
    assert statuses() == ["pending", "pending"]


def test_the_page_of_one_shows_the_difference_and_rejects_it_with_a_reason(
    browse: Callable[..., Client], assistant: ApiClient
) -> None:
    [one] = proposed(assistant, 1)
    client = browse("Manager")
    delivery = reverse("admin:deliveries_delivery_change", args=[one.delivery_id])
    assert page(one) in text_of(client, delivery)
    shown = text_of(client, page(one))
    assert "as it is proposed" in shown and "&lt;b&gt;+41&lt;/b&gt;" in shown
    said = text_of(client, page(one), decision="reject", reason="not a number")
    assert "1 proposal rejected. Nothing was sent." in said and "not a number" in said
    assert (statuses(), page(one) in text_of(client, delivery)) == (["failed"], False)


def test_a_bulk_resend_shows_what_it_would_send_now(browse: Callable[..., Client], assistant: ApiClient) -> None:
    failing(assistant, 3)
    assert assistant.post("bulk", {"action": "retry", "filter": {"status": "failed"}}).status_code == 202
    Delivery.objects.filter(pk=Delivery.objects.values("pk")[:1]).update(status="discarded")
    shown = browse("Manager").get(page(Proposal.objects.get()))
    assert (shown.context["preview"].total, len(shown.context["sample"])) == (2, 2)
    assert "(3 when it was proposed)" in shown.content.decode()


def test_only_who_may_approve_decides_and_only_in_their_stores(
    browse: Callable[..., Client], assistant: ApiClient
) -> None:
    [one] = proposed(assistant, 1)
    operator = browse("Operator")
    assert "Approve" not in text_of(operator, page(one)).replace("may approve", "")
    assert operator.post(page(one), {"decision": "approve"}).status_code == 403
    stranger = browse("Manager", stores=[StoreFactory()])
    assert stranger.get(page(one)).status_code == 404
    assert stranger.get(reverse(INBOX)).context["proposals"] == []
    assert statuses() == ["failed"]


def test_a_bulk_fix_that_awaits_approval_is_in_the_inbox(browse: Callable[..., Client]) -> None:
    client = ApiClient(StoreFactory(is_approval_required=True))
    [one, *_] = failing(client, 3)
    olga = UserFactory(username="olga")
    fix = request_fix(
        scope={"group": str(one.failure_group_id)}, store=client.store, field=FIELD, rules=[{"rule": "trim"}],
        actor=Actor.of_user(olga), reason="blanks",
    )  # fmt: skip
    assert fix.status == BulkFix.Status.AWAITING
    manager = browse("Manager")
    assert "1 change awaits approval" in text_of(manager, reverse("admin:index"))
    inbox = text_of(manager, reverse(INBOX))
    assert "Bulk fix of 3 deliveries by olga" in inbox
    assert reverse("admin:deliveries_bulkfix_change", args=[fix.pk]) in inbox
