"""One outage, one repair: the settings are corrected, one delivery proves it, and everything else follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery, Replay, Revision
from deliveries.replay import step
from deliveries.replay.outage import candidate_of, outage_of
from deliveries.resolution import history_of
from integrations.models import Integration, IntegrationHealth
from tests.factories import DeliveryFactory, FailureGroupFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver, answer


@pytest.fixture
def erp(db: None) -> Integration:
    """Its token was changed by others: two groups of failures, one delivery that is retrying, and one bad payload."""
    made: Integration = IntegrationFactory(name="ERP", slug="erp", wire_format="standard", retry_policy="none")
    return made


def fail(integration: Integration, count: int, message: str, *, kind: str = "http_401", **values: Any) -> Any:
    group = FailureGroupFactory(integration=integration, kind=kind, message=message)
    subscription = SubscriptionFactory(integration=integration)
    rows = [
        DeliveryFactory(
            **{"subscription": subscription, "status": "failed", "failure_group": group, "last_error": message} | values
        )
        for _ in range(count)
    ]
    group.sample = rows[-1]
    group.save()
    return group


@pytest.fixture
def outage(erp: Integration) -> dict[str, Any]:
    return {
        "refused": fail(erp, 4, "The receiver answered 401: token expired"),
        "slow": fail(erp, 2, "timed out after 30 s", kind="timeout"),
        "retrying": fail(erp, 1, "connection refused", kind="connection", status="retrying", due_at=timezone.now()),
        "payload": fail(erp, 3, "'sent' is not a status", kind="http_422"),
    }


def page_of(client: Client, integration: Integration, **query: Any) -> str:
    return client.get(reverse("admin:deliveries_replay_repair", args=[integration.pk]), query).text


def test_everything_of_the_integration_is_offered_ticked_but_what_the_payload_is_at_fault_for(
    admin: Client, erp: Integration, outage: dict[str, Any]
) -> None:
    DeliveryFactory(status="failed")  # another integration's
    page = page_of(admin, erp)
    ticked = {int(pk) for pk in re.findall(r'name="group" value="(\d+)" data-adds="\d+" checked', page)}
    assert ticked == {outage[name].pk for name in ("refused", "slow", "retrying")}
    assert 'Resend <span data-sum="0" data-noun="delivery,deliveries">7 deliveries</span>' in page
    assert page.count("The payload was refused") == 1
    assert 'id="canary" name="canary" aria' in page


def test_what_is_ticked_is_resent_as_one_replay(admin: Client, erp: Integration, outage: dict[str, Any]) -> None:
    address = reverse("admin:deliveries_replay_repair", args=[erp.pk])
    wanted = {outage[name].pk for name in ("refused", "slow", "retrying")}
    form = {"group": list(wanted), "canary_asked": "1", "rate": "1000", "reason": "new token"}
    response = admin.post(address, form)
    replay = Replay.objects.get()
    assert response.headers["Location"] == reverse("admin:deliveries_replay_change", args=[replay.pk])
    assert (replay.total, replay.store_id, replay.reason) == (7, erp.store_id, "new token")
    while not step(replay.pk, replay.created_at + timedelta(minutes=1)).is_over:
        pass
    assert Delivery.objects.filter(status="pending").count() == 7
    assert set(Delivery.objects.filter(status="failed").values_list("failure_group", flat=True)) == {
        outage["payload"].pk
    }


def test_all_of_them_are_all_of_the_integration(admin: Client, erp: Integration, outage: dict[str, Any]) -> None:
    fail(IntegrationFactory(store=erp.store, slug=str(erp.pk)), 2, "another integration of that very slug")
    lone = DeliveryFactory(subscription=SubscriptionFactory(integration=erp), status="failed")
    keys = [*(group.pk for group in outage.values()), "none"]
    admin.post(reverse("admin:deliveries_replay_repair", args=[erp.pk]), {"group": keys})
    replay = Replay.objects.get()
    assert replay.total == 11
    assert "group" not in replay.filters
    admin.post(reverse("admin:deliveries_replay_repair", args=[erp.pk]), {"group": ["none"]})
    assert Replay.objects.exclude(pk=replay.pk).get().total == 1
    assert candidate_of(erp, lone.pk) == lone


@pytest.mark.parametrize("keys", [[], ["999999"], ["x"]])
def test_without_a_tick_nothing_is_started(
    admin: Client, erp: Integration, outage: dict[str, Any], keys: list[str]
) -> None:
    response = admin.post(reverse("admin:deliveries_replay_repair", args=[erp.pk]), {"group": keys})
    assert "tick at least one" in response.text
    assert not Replay.objects.exists()


def test_saving_goes_on_to_a_test_with_a_real_delivery_whose_result_is_shown(
    admin: Client, erp: Integration, outage: dict[str, Any], receiver: Receiver, deliver: Callable[..., int]
) -> None:
    receiver.script(answer(200, b"{}"))
    IntegrationHealth.objects.create(
        integration=erp, breaker="open", opened_at=timezone.now(), probe_at=timezone.now() + timedelta(seconds=30)
    )
    # Due deliveries that are not part of this test go out later.
    Delivery.objects.filter(status="retrying").update(due_at=timezone.now() + timedelta(hours=1))
    change = reverse("admin:integrations_integration_change", args=[erp.pk])
    page = admin.get(change).text
    assert "10 deliveries have not arrived" in page
    assert "Save and test with a failed delivery" in page
    form = {"name": "ERP", "slug": "erp", "url": receiver.url(""), "auth_type": "none", "then": "test"}
    form |= {"timeout": "10", "max_in_flight": "8", "retry_policy": "none"}
    response = admin.post(change, form)
    assert (response.status_code, response.headers["Location"]) == (
        307,
        reverse("admin:deliveries_replay_repair_test", args=[erp.pk]),
    ), re.findall(r'class="errorlist.*?</ul>', response.text)
    response = admin.post(response.headers["Location"], form)
    page = admin.get(response.headers["Location"]).text
    assert "Sending shipment.updated" in page
    assert (
        'Resend <span data-sum="0" data-noun="delivery,deliveries">6 deliveries</span>' in page
    )  # without the one that is on its way
    tested = Delivery.objects.get(trigger="manual")
    assert tested.failure_group_id == outage["refused"].pk
    assert history_of(tested)[0].reason == "test after a repair"
    deliver()
    [request] = receiver.requests
    live = admin.get(f"{reverse('admin:deliveries_replay_repair_result', args=[erp.pk])}?tested={tested.pk}")
    assert live.headers["X-Desk-Over"] == "1"
    assert "It works." in live.text
    assert request.body.decode()[:20]


def test_a_test_that_fails_again_leads_back_to_the_settings(
    admin: Client, erp: Integration, outage: dict[str, Any], receiver: Receiver, deliver: Callable[..., int]
) -> None:
    receiver.script(answer(401, b"still wrong"))
    Integration.objects.filter(pk=erp.pk).update(url=receiver.url(""))
    Delivery.objects.filter(status="retrying").update(due_at=timezone.now() + timedelta(hours=1))
    response = admin.post(reverse("admin:deliveries_replay_repair_test", args=[erp.pk]))
    deliver()
    page = admin.get(response.headers["Location"]).text
    assert "It failed again:" in page
    assert "The receiver does not accept our credentials" in page
    assert "Back to the settings" in page
    assert not Replay.objects.exists()


def test_the_delivery_that_led_to_the_repair_is_the_test(
    admin: Client, erp: Integration, outage: dict[str, Any]
) -> None:
    chosen = Delivery.objects.filter(failure_group=outage["slow"]).latest("id")
    response = admin.post(reverse("admin:deliveries_replay_repair_test", args=[erp.pk]), {"resolve": str(chosen.pk)})
    assert response.headers["Location"].endswith(f"?tested={chosen.pk}")
    chosen.refresh_from_db()
    assert chosen.status == "pending"


def test_what_waits_for_approval_is_left_alone_counted_and_linked(
    admin: Client, erp: Integration, outage: dict[str, Any]
) -> None:
    waiting = Delivery.objects.filter(failure_group=outage["refused"]).earliest("id")
    Revision.objects.create(delivery=waiting, number=1, data={}, patch=[], author_name="bo", is_awaiting_approval=True)
    page = page_of(admin, erp)
    [link] = re.findall(r'href="([^"]+approval=awaited)"', page)
    listed = admin.get(link.replace("&amp;", "&")).text
    assert [str(pk) in listed for pk in Delivery.objects.order_by("id").values_list("pk", flat=True)] == [
        pk == waiting.pk for pk in Delivery.objects.order_by("id").values_list("pk", flat=True)
    ]
    assert candidate_of(erp, waiting.pk) not in (None, waiting)


def test_no_delivery_that_an_ordered_record_holds_is_the_test(erp: Integration) -> None:
    ordered = SubscriptionFactory(integration=erp, is_ordered=True)
    group = FailureGroupFactory(integration=erp, kind="http_401")
    DeliveryFactory(subscription=ordered, order_key="shipment/1", status="pending")
    DeliveryFactory(subscription=ordered, order_key="shipment/1", status="failed", failure_group=group)
    assert candidate_of(erp) is None
    free = DeliveryFactory(subscription=ordered, order_key="shipment/2", status="failed", failure_group=group)
    assert candidate_of(erp) == free


def test_an_integration_without_failures_has_nothing_to_offer(admin: Client, erp: Integration) -> None:
    DeliveryFactory(subscription=SubscriptionFactory(integration=erp), status="succeeded")
    response = admin.get(reverse("admin:deliveries_replay_repair", args=[erp.pk]))
    assert response.headers["Location"] == reverse("admin:integrations_integration_change", args=[erp.pk])
    assert "have not arrived" not in admin.get(response.headers["Location"]).text
    response = admin.post(reverse("admin:deliveries_replay_repair_test", args=[erp.pk]), follow=True)
    assert "Nothing of it can be sent" in response.text
    assert outage_of(erp).total == 0


def test_enabling_one_that_was_disabled_leads_to_what_it_missed(
    admin: Client, erp: Integration, outage: dict[str, Any]
) -> None:
    Integration.objects.filter(pk=erp.pk).update(is_enabled=False, disabled_reason="answered 410")
    page = admin.get(reverse("admin:integrations_integration_change", args=[erp.pk])).text
    assert "Save and test" not in page
    form = dict(re.findall(r'<input type="hidden" name="(then)" value="([^"]*)"', page))
    response = admin.post(reverse("admin:integrations_integration_switch", args=[erp.pk]), form)
    assert response.headers["Location"] == reverse("admin:deliveries_replay_repair", args=[erp.pk])
    assert "Send one now" in admin.get(response.headers["Location"]).text


@pytest.mark.parametrize(("role", "may"), [("Viewer", False), ("Operator", True), ("Manager", True)])
def test_who_may_resend_may_test_and_others_only_look(
    browse: Callable[..., Client], erp: Integration, outage: dict[str, Any], role: str, may: bool
) -> None:
    client = browse(role)
    page = page_of(client, erp)
    assert ("Send one now" in page, "data-sum" in page) == (may, may)
    keys = [outage["refused"].pk]
    codes = [
        client.post(reverse("admin:deliveries_replay_repair", args=[erp.pk]), {"group": keys}).status_code,
        client.post(reverse("admin:deliveries_replay_repair_test", args=[erp.pk])).status_code,
    ]
    assert codes == ([302, 302] if may else [403, 403])
    assert Replay.objects.exists() is may
    assert Delivery.objects.filter(trigger="manual").exists() is may


def test_another_store_s_integration_does_not_exist(
    browse: Callable[..., Client], erp: Integration, outage: dict[str, Any]
) -> None:
    client = browse("Operator", stores=[IntegrationFactory().store])
    pk = Delivery.objects.earliest("id").pk
    for name in ("repair", "repair_test", "repair_result"):
        address = f"{reverse(f'admin:deliveries_replay_{name}', args=[erp.pk])}?tested={pk}"
        assert client.post(address).status_code == 404
    assert not Replay.objects.exists()
