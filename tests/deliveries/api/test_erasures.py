"""`/api/v1/erasures`, and `manage.py erase`."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from deliveries.api import erasures
from deliveries.erasure import runner
from deliveries.models import Erasure
from tests.api_client import ApiClient
from tests.factories import DeliveryFactory, EventFactory, StoreFactory

pytestmark = pytest.mark.django_db

MAIL = "anna@example.com"


@pytest.fixture(autouse=True)
def queued(monkeypatch):
    monkeypatch.setattr(runner, "enqueue", lambda pk: None)
    monkeypatch.setattr(erasures, "SECONDS", 60.0)  # however busy the machine is


@pytest.fixture
def client():
    return ApiClient()


def test_a_dry_run_counts_and_erases_nothing(client):
    event = EventFactory(store=client.store, data={"mail": MAIL})

    answer = client.post("/api/v1/erasures", {"value": MAIL, "dry_run": True})

    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["found"], body["erased"]) == ("ready", 1, 0)
    assert body["places"] == [{"place": "event", "label": "Events", "found": 1, "erased": 0, "is_reported": False}]
    assert MAIL not in answer.content.decode()
    event.refresh_from_db()
    assert event.erased_at is None

    confirmed = client.post(f"/api/v1/erasures/{body['id']}/confirm", {"reason": "ticket 17"}).json()
    assert (confirmed["status"], confirmed["erased"]) == ("done", 1)
    assert client.get(f"/api/v1/erasures/{body['id']}").json()["reason"] == "ticket 17"


def test_erased_deliveries_say_so_and_cannot_be_resolved(client):
    event = EventFactory(store=client.store, data={"mail": MAIL})
    delivery = DeliveryFactory(event=event, store=client.store, status="succeeded")

    assert client.post("/api/v1/erasures", {"value": MAIL}).json()["status"] == "done"

    shown = client.get(f"/api/v1/deliveries/{delivery.public_id}").json()
    assert shown["erased_at"] is not None
    assert shown["event"]["data"] == {"erased": True}
    refused = client.post(f"/api/v1/deliveries/{delivery.public_id}/resolve", {"action": "retry"})
    assert refused.status_code == 409
    assert "was erased on" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "value"),
        ({"value": "x"}, "value"),
        ({"value": MAIL, "match": "like"}, "match"),
        ({"value": MAIL, "reason": f"for {MAIL}"}, "reason"),
    ],
)
def test_bad_input_names_its_field_and_begins_nothing(client, body, field):
    answer = client.post("/api/v1/erasures", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert not Erasure.objects.exists()


def test_a_token_cannot_approve_and_waits_for_a_person(client):
    client.store.is_approval_required = True
    client.store.save()
    event = EventFactory(store=client.store, data={"mail": MAIL})

    body = client.post("/api/v1/erasures", {"value": MAIL}).json()

    assert body["status"] == "awaiting"
    assert client.post(f"/api/v1/erasures/{body['id']}/confirm", {}).status_code == 409
    event.refresh_from_db()
    assert event.erased_at is None
    assert client.post(f"/api/v1/erasures/{body['id']}/cancel").json()["status"] == "cancelled"


def run_command(*arguments):
    out = io.StringIO()
    call_command("erase", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_command_counts_then_erases():
    store = StoreFactory()
    event = EventFactory(store=store, data={"note": f"from {MAIL}!"})

    assert "0 rows hold" in run_command(MAIL, "--dry-run")
    assert "1 rows hold" in run_command(MAIL, "--dry-run", "--contains")
    done = json.loads(run_command(MAIL, "--contains", "--json"))
    assert (done["status"], done["places"]) == ("done", {"event": 1})
    event.refresh_from_db()
    assert event.erased_at is not None
    assert {erasure.value for erasure in Erasure.objects.all()} == {""}
    with pytest.raises(CommandError, match="at least"):
        run_command("x")


def test_a_token_without_manage_may_not_erase():
    assert ApiClient(scopes=("push",)).post("/api/v1/erasures", {"value": MAIL}).status_code == 403
