"""Erasing from the desk: found, confirmed with the password, shown; and a store's retention."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from deliveries.erasure import runner
from deliveries.models import Erasure
from integrations.models import AuditEntry, Retention
from tests.factories import DeliveryFactory, EventFactory, StoreFactory, UserFactory

pytestmark = pytest.mark.django_db
PHONE = "+4915123456"


@pytest.fixture(autouse=True)
def queued(monkeypatch):
    monkeypatch.setattr(runner, "enqueue", lambda pk: None)


@pytest.fixture
def manager(client):
    client.force_login(UserFactory(username="mia", is_superuser=True))
    return client


def page(erasure):
    return reverse("admin:deliveries_erasure_change", args=[erasure.pk])


def decide(client, erasure, decision, **fields):
    address = reverse("admin:deliveries_erasure_decide", args=[erasure.pk])
    return client.post(address, {"decision": decision, **fields}, follow=True)


def test_what_holds_a_value_is_found_shown_and_erased(manager):
    event = EventFactory(data={"phone": PHONE})
    delivery = DeliveryFactory(event=event, store=event.store, status="failed")

    manager.post(
        reverse("admin:deliveries_erasure_add"), {"store": str(event.store_id), "value": PHONE, "match": "exact"}
    )
    erasure = Erasure.objects.get()
    runner.run_for(erasure.pk, 10)

    shown = manager.get(page(erasure)).content.decode()
    assert PHONE in shown
    assert "Erase 1 row" in shown
    decide(manager, erasure, "erase", reason="ticket 17")
    runner.run_for(erasure.pk, 10)
    done = manager.get(page(erasure)).content.decode()
    assert PHONE not in done
    assert "ticket 17" in done
    gone = manager.get(reverse("admin:deliveries_delivery_change", args=[delivery.pk])).content.decode()
    assert "The payload was erased" in gone
    assert "Resend as it is" not in gone
    assert (
        "The data was erased" in manager.get(reverse("admin:deliveries_event_change", args=[event.pk])).content.decode()
    )


def test_a_bad_value_or_reason_is_said_and_changes_nothing(manager):
    store = StoreFactory()
    answer = manager.post(
        reverse("admin:deliveries_erasure_add"), {"store": str(store.pk), "value": "x", "match": "exact"}
    )
    assert b"at least 3 characters" in answer.content
    assert not Erasure.objects.exists()
    erasure = Erasure.objects.create(
        store=store, status="ready", value=PHONE, author_name="bo", found={"event": 1}, created_at=timezone.now()
    )
    assert b"must not contain the value" in decide(manager, erasure, "erase", reason=f"of {PHONE}").content
    erasure.refresh_from_db()
    assert erasure.status == "ready"


def test_only_who_may_erase_sees_the_value_and_the_buttons(client):
    from django.contrib.auth.models import Group

    store = StoreFactory()
    viewer = UserFactory(is_superuser=False)
    viewer.stores.add(store)
    viewer.groups.add(Group.objects.get(name="Operator"))
    client.force_login(viewer)
    erasure = Erasure.objects.create(
        store=store, status="awaiting", value=PHONE, author_name="bo", found={"event": 1}, created_at=timezone.now()
    )
    shown = client.get(page(erasure)).content.decode()
    assert PHONE not in shown
    assert "<button" not in shown.split("second approver")[1].split("</section>")[0]
    assert client.get(reverse("admin:deliveries_erasure_add")).status_code == 403
    assert decide(client, erasure, "approve").status_code == 403
    foreign = Erasure.objects.create(store=StoreFactory(), status="done", author_name="bo", created_at=timezone.now())
    assert client.get(page(foreign)).status_code == 404


def test_retention_is_set_by_kind_and_audited(manager):
    store = StoreFactory()
    address = reverse("admin:integrations_store_retention", args=[store.pk])
    assert manager.get(address).status_code == 200

    assert b"greater than or equal to 1" in manager.post(address, {"successes": "0"}).content
    assert not Retention.objects.exists()
    manager.post(address, {"successes": "7", "failures": "30", "records": "365"})

    rule = Retention.objects.get(store=store)
    assert (rule.successes, rule.failures, rule.records, rule.audit) == (7, 30, 365, None)
    entry = AuditEntry.objects.get(action="change retention")
    assert entry.after["successes"] == 7
    assert "7 days" in manager.get(reverse("admin:integrations_store_change", args=[store.pk])).content.decode()
