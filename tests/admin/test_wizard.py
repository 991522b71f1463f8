"""The resolution wizard as a form: every step without JavaScript."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import Attempt, Delivery, Record, Replay
from deliveries.resolution import edit_delivery
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry
from tests.admin.conftest import WRONG, shipment
from tests.factories import DeliveryFactory, EventFactory, RecordFactory, TopicFactory, UserFactory

GOOD = "555-555-5555"


def address(step: str, delivery: Delivery) -> str:
    return reverse(f"admin:deliveries_delivery_{step}", args=[delivery.pk])


def corrected(delivery: Delivery) -> str:
    return json.dumps(shipment(int(delivery.event.object_id), GOOD), indent=2)


def edit(client: Client, delivery: Delivery, text: str | None = None, **data: Any) -> Any:
    return client.post(address("edit", delivery), {"payload": text or corrected(delivery), **data})


def test_the_first_step_says_what_is_wrong_and_what_can_be_done(admin: Client, failed: Callable[..., Delivery]) -> None:
    page = admin.get(address("resolve", failed(others=3))).text
    assert "is not a phone number" in page
    for choice in ("Edit the payload", "Repair the integration", "Resend as it is", "Wait for a fix", "Discard"):
        assert choice in page
    assert "3 others" in page


def test_the_editor_shows_the_payload_in_a_plain_text_area(admin: Client, failed: Callable[..., Delivery]) -> None:
    page = admin.get(address("edit", failed())).text
    assert '<textarea class="code" id="payload" name="payload"' in page
    assert "&quot;phone&quot;: &quot;0000000000&quot;" in page


def test_bad_json_is_explained_and_what_was_typed_stays(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    response = edit(admin, delivery, '{"id": "1000", oops')
    assert response.status_code == 200
    assert "not JSON" in response.text
    assert "oops" in response.text
    assert "oops" in admin.get(address("edit", delivery)).text


def test_an_unchanged_payload_does_not_go_to_review(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    response = edit(admin, delivery, json.dumps(delivery.event.data))
    assert response.status_code == 200
    assert "Nothing has been changed yet" in response.text


def test_the_schema_is_checked_by_the_server(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    TopicFactory(
        store=delivery.store,
        name="shipment.updated",
        schema={"properties": {"shipping_address": {"properties": {"phone": {"type": "string"}}}}},
    )
    wrong = json.dumps({"id": "1000", "shipping_address": {"phone": 5}})
    answer = admin.post(address("check", delivery), {"payload": wrong}).json()
    assert answer["problems"][0]["path"] == "shipping_address.phone"
    assert answer["problems"][0]["pointer"] == "/shipping_address/phone"
    assert "shipping_address.phone" in edit(admin, delivery, wrong).text


def test_the_review_shows_the_difference_the_request_and_who_else_it_fits(
    admin: Client, failed: Callable[..., Delivery]
) -> None:
    delivery = failed(others=4)
    assert edit(admin, delivery).headers["Location"] == address("review", delivery)
    page = admin.get(address("review", delivery)).text
    assert "<del>0000000000</del>" in page
    assert f"<ins>{GOOD}</ins>" in page
    assert "POST http://127.0.0.1:9/hook" in page
    assert "applies to <strong>2</strong>" in page  # every second one has another number
    assert page.count("does not apply") == 2
    assert "3 deliveries" in page


def test_review_without_an_edit_begins_at_the_editor(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    assert admin.get(address("review", delivery)).headers["Location"] == address("edit", delivery)


def test_sending_edits_all_that_were_ticked_and_none_else(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=4)
    edit(admin, delivery)
    ticked = [str(pk) for pk in Delivery.objects.filter(event__object_id__in=["1002"]).values_list("pk", flat=True)]
    response = admin.post(address("review", delivery), {"include": ticked, "reason": "the customer told us"})
    assert response.headers["Location"] == address("watch", delivery)
    sent = Delivery.objects.filter(status="pending").order_by("event__object_id")
    assert [each.event.object_id for each in sent] == ["1000", "1002"]
    assert {each.revision for each in sent} == {1}
    assert delivery.event.data["shipping_address"]["phone"] == "0000000000"
    entry = AuditEntry.objects.filter(action="edit", target_id=str(delivery.pk)).get()
    assert entry.reason == "the customer told us"
    page = admin.get(address("watch", delivery)).text
    assert "2 in progress" in page
    assert "the customer told us" in admin.get(address("change", delivery)).text


def test_the_records_update_is_asked_for(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    record = RecordFactory(store=delivery.store, external_id="1000", data=delivery.event.data)
    edit(admin, delivery, update_record="on")
    admin.post(address("review", delivery), {})
    record = Record.objects.get(pk=record.pk)
    assert record.data["shipping_address"]["phone"] == GOOD


def test_the_second_of_two_people_is_told_and_overwrites_nothing(
    admin: Client, failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    edit(admin, delivery)
    other = UserFactory(username="bo")
    edit_delivery(delivery=delivery, payload=shipment(1000, "111-111-1111"), actor=Actor.of_user(other))
    assert "changed after you started" in admin.get(address("review", delivery)).text
    response = admin.post(address("review", delivery), {})
    assert response.status_code == 200
    assert "Nothing was overwritten" in response.text
    assert delivery.revisions.count() == 1
    # Told, they may send theirs all the same.
    assert admin.post(address("review", delivery), {}).status_code == 302
    assert delivery.revisions.count() == 2


def test_two_people_in_the_wizard_see_each_other(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    browse(username="anna").get(address("edit", delivery))
    assert "anna" in browse(username="bo").get(address("resolve", delivery)).text


def test_a_store_that_wants_a_reason_gets_one(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    delivery.store.is_reason_required = True
    delivery.store.save()
    edit(admin, delivery)
    response = admin.post(address("review", delivery), {"reason": " "})
    assert response.status_code == 200
    assert "requires a reason" in response.text
    assert not delivery.revisions.exists()


def test_where_a_second_person_is_asked_for_nothing_is_sent_before(
    browse: Callable[..., Client], failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    delivery.store.is_approval_required = True
    delivery.store.save()
    author, approver = browse("Manager"), browse("Manager")
    edit(author, delivery)
    author.post(address("review", delivery), {})
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert "awaits approval" in author.get(address("watch", delivery)).text
    decision = {"revision": "1", "decision": "approve"}
    author.post(address("approval", delivery), decision)
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    assert "Approve and send" in approver.get(address("change", delivery)).text
    approver.post(address("approval", delivery), decision)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.revision) == ("pending", 1)


@pytest.mark.parametrize(("action", "status"), [("retry", "pending"), ("discard", "discarded"), ("wait", "failed")])
def test_the_other_ways_out_ask_on_a_page_and_act_by_post(
    admin: Client, failed: Callable[..., Delivery], action: str, status: str
) -> None:
    delivery = failed()
    assert admin.get(address("confirm", delivery) + f"?action={action}").status_code == 200
    delivery.refresh_from_db()
    assert delivery.status == "failed"
    admin.post(address("confirm", delivery), {"action": action, "reason": "so be it", "seen_attempts": "1"})
    delivery.refresh_from_db()
    assert delivery.status == status
    assert AuditEntry.objects.filter(target_id=str(delivery.pk), reason="so be it").exists()


def test_a_page_that_is_out_of_date_resends_nothing(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    response = admin.post(address("confirm", delivery), {"action": "retry", "seen_attempts": "0"})
    assert "retried in the meantime" in response.text
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_all_alike_are_resent_by_a_replay(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=3)
    admin.post(address("confirm", delivery), {"action": "retry", "alike": "on"})
    replay = Replay.objects.get()
    assert replay.total == 4
    assert replay.filters["group"] == str(delivery.failure_group_id)
    assert "of 4" in admin.get(address("watch", delivery)).text


def test_from_a_group_the_wizard_begins_with_a_failure_of_it(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed(others=2)
    response = admin.get(reverse("admin:deliveries_failuregroup_resolve", args=[delivery.failure_group_id]))
    chosen = Delivery.objects.filter(failure_group=delivery.failure_group_id).order_by("-id").first()
    assert chosen is not None
    assert response.headers["Location"] == address("resolve", chosen)


def test_next_failure_goes_on_to_another_group(admin: Client, failed: Callable[..., Delivery]) -> None:
    first = failed()
    from tests.factories import FailureGroupFactory

    other = FailureGroupFactory(message="another matter")
    page = admin.get(address("watch", first)).text
    assert reverse("admin:deliveries_failuregroup_resolve", args=[other.pk]) in page


def test_live_the_outcome_shows_and_the_fragment_says_when_it_is_over(
    admin: Client, failed: Callable[..., Delivery], receiver: Any, deliver: Callable[..., int]
) -> None:
    delivery = failed(others=2, url=receiver.url())
    edit(admin, delivery)
    ids = [str(pk) for pk in Delivery.objects.exclude(pk=delivery.pk).values_list("pk", flat=True)]
    admin.post(address("review", delivery), {"include": ids})
    before = admin.get(address("watch_live", delivery))
    assert "X-Desk-Over" not in before.headers
    deliver()
    after = admin.get(address("watch_live", delivery))
    assert after.headers["X-Desk-Over"] == "1"
    assert "2 succeeded" in after.text
    assert json.loads(receiver.wait_for(2)[0].body)["data"]["shipping_address"]["phone"] == GOOD
    assert WRONG in after.text.replace("&#x27;", "'")  # the group: one that did not fit still fails


def test_what_the_payloads_that_fail_have_in_common_is_shown_and_suspected(
    admin: Client, failed: Callable[..., Delivery]
) -> None:
    """The receiver says nothing of use."""
    delivery = failed(others=7)
    Attempt.objects.update(error_message="The receiver answered 500: oops", response_body=b"oops")
    Delivery.objects.update(last_error="oops")
    for number in range(30):
        data = {
            "id": str(12_800 + number),
            "status": "ready",
            "shipping_address": {"firstname": "Joe", "phone": f"555-{number * 37 % 101}"},
        }
        event = EventFactory(store=delivery.store, data=data)
        DeliveryFactory(subscription=delivery.subscription, event=event, status="succeeded")
    page = admin.get(reverse("admin:deliveries_delivery_resolve", args=[delivery.pk])).text
    assert "in 8 of 8 failures and in 0 of 30 successes" in page
    assert '<code class="words">shipping_address.phone</code> <strong>starts with 0</strong>' in page
    page = admin.get(reverse("admin:deliveries_delivery_edit", args=[delivery.pk])).text
    assert 'data-suspects="/shipping_address/phone"' in page
    Attempt.objects.update(error_kind="http_401", response_status=401)
    assert "How the payloads" not in admin.get(reverse("admin:deliveries_delivery_resolve", args=[delivery.pk])).text
