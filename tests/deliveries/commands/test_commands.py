"""The commands of the shell: they report, also as JSON, and say in plain words what is wrong."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, Record, Replay
from integrations.models import AccessToken, Store
from integrations.security.tokens import authenticate
from tests.factories import (
    AccessTokenFactory,
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    StoreFactory,
    SubscriptionFactory,
)

pytestmark = pytest.mark.django_db


def run(*arguments: object) -> str:
    out = io.StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def run_json(*arguments: object):
    return json.loads(run(*arguments, "--json"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.json"
    path.write_text(text)
    return path


class TestCreatestore:
    def test_prints_a_store_id_and_a_token_that_works(self):
        answer = run_json("createstore", "Shop")

        assert set(answer) == {"store", "access_token"}
        store = Store.objects.get(id=answer["store"])
        principal = authenticate(store_id=store.id, token=answer["access_token"])
        assert (store.name, principal.scopes) == ("Shop", {"read", "push", "resolve", "manage"})

    def test_gives_the_scopes_that_are_asked_for(self):
        run("createstore", "Shop", "--scopes", "push")

        assert AccessToken.objects.get().scopes == ["push"]

    @pytest.mark.parametrize("scopes", ["", "write", "push,all"])
    def test_refuses_other_scopes_and_makes_nothing(self, scopes):
        with pytest.raises(CommandError, match="manage and propose"):
            run("createstore", "Shop", "--scopes", scopes)
        assert not Store.objects.exists()


class TestPush:
    def test_a_json_file_is_one_push(self, tmp_path):
        StoreFactory()
        path = written(tmp_path, '{"shipments": [\n {"id": "1"}, {"id": "2"}], "orders": []}')

        assert run_json("push", path) == {"shipments": 2, "orders": 0}
        assert Record.objects.count() == 2
        assert not AccessToken.objects.exists()

    def test_ndjson_is_stored_line_by_line(self, tmp_path):
        StoreFactory()
        path = written(tmp_path, '{"shipments": [{"id": "1"}]}\n\n{"orders": [{"id": "2"}]}\n')

        assert run_json("push", path) == {"shipments": 1, "orders": 1}

    def test_ndjson_of_bare_objects_needs_their_type(self, tmp_path):
        StoreFactory()
        path = written(tmp_path, '{"id": "1"}\n{"id": "2"}\n')

        with pytest.raises(CommandError, match="--type"):
            run("push", path)
        assert run_json("push", path, "--type", "shipments") == {"shipments": 2}

    def test_standard_input_is_read(self, monkeypatch):
        StoreFactory()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"shipments": [{"id": 1}]}')))

        assert "1 shipments" in run("push", "-")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{", "not JSON"),
            ('{"shipments": [{"x": 1}]}', r"shipments\[0\].id"),
            ('{"id": "1"}\n{', "Line"),
            ("[]", "Line 1"),
        ],
    )
    def test_bad_input_is_named_and_stores_nothing(self, tmp_path, text, why):
        StoreFactory()
        with pytest.raises(CommandError, match=why):
            run("push", written(tmp_path, text))
        assert not Record.objects.exists()
        assert not AccessToken.objects.exists()

    def test_a_missing_file_is_named(self):
        StoreFactory()
        with pytest.raises(CommandError, match="cannot be read"):
            run("push", "/nowhere/at/all.json")

    def test_a_token_of_another_store_is_refused(self, tmp_path):
        store, other = StoreFactory(), AccessTokenFactory()
        path = written(tmp_path, '{"shipments": [{"id": "1"}]}')

        with pytest.raises(CommandError, match="does not belong to the store"):
            run("push", path, "--store", store.id, "--token", other.text)
        assert run_json("push", path, "--store", other.store.name, "--token", other.text) == {"shipments": 1}
        assert Record.objects.get().store == other.store


class TestChoosingAStore:
    def test_without_one_it_says_how_to_make_one(self):
        with pytest.raises(CommandError, match="createstore"):
            run("send_event", "user.created")

    def test_of_several_one_must_be_chosen(self):
        StoreFactory()
        chosen = StoreFactory()
        with pytest.raises(CommandError, match="--store"):
            run("send_event", "user.created")
        run("send_event", "user.created", "--store", chosen.name)
        assert Event.objects.get().store == chosen

    @pytest.mark.parametrize("name", ["nobody", "0" * 32])
    def test_an_unknown_one_is_named(self, name):
        with pytest.raises(CommandError, match="Unknown store"):
            run("send_event", "user.created", "--store", name)


class TestSendEvent:
    def test_a_topic_with_data(self):
        StoreFactory()
        answer = run_json("send_event", "user.created", "--data", '{"id": 7}')

        event = Event.objects.get()
        assert (answer["id"], event.topic, event.data) == (event.public_id, "user.created", {"id": 7})

    def test_an_intent(self):
        StoreFactory()
        run("send_event", "--intent", "order_pizza")

        assert Event.objects.get().intent == "order_pizza"

    def test_the_same_idempotency_key_sends_once(self):
        StoreFactory()
        for _ in range(2):
            run("send_event", "user.created", "--idempotency-key", "k")
        assert Event.objects.count() == 1

    @pytest.mark.parametrize("arguments", [[], ["user.created", "--data", "{"], ["user.created", "--data", "[]"]])
    def test_bad_input_is_refused(self, arguments):
        StoreFactory()
        with pytest.raises(CommandError):
            run("send_event", *arguments)
        assert not Event.objects.exists()


class TestPing:
    def test_shows_what_came_back(self, receiver):
        integration = IntegrationFactory(url=receiver.url("/"))
        answer = run_json("ping", integration.slug)

        assert (answer["ok"], answer["status"]) == (True, 200)
        assert Attempt.objects.get().trigger == "test"

    def test_a_failure_exits_1(self, receiver):
        from tests.receiver import answer

        receiver.script(answer(500))
        subscription = SubscriptionFactory(integration=IntegrationFactory(url=receiver.url("/")))
        with pytest.raises(CommandError, match="500"):
            run("ping", f"nsub_{subscription.id}")

    @pytest.mark.parametrize("target", ["nobody", "nsub_x", "nsub_01033700-16ad-41e6-aa08-ed65c3040c0f"])
    def test_an_unknown_target_is_named(self, target):
        with pytest.raises(CommandError, match="Unknown"):
            run("ping", target)

    def test_handshake_is_for_turn_only(self):
        with pytest.raises(CommandError, match="turn format"):
            run("handshake", IntegrationFactory().slug)


class TestResend:
    @pytest.fixture
    def failed(self):
        subscription = SubscriptionFactory()
        return [DeliveryFactory(subscription=subscription, status="failed") for _ in range(3)]

    def test_failed_ones_are_due_again(self, failed):
        succeeded = DeliveryFactory(subscription=failed[0].subscription, status="succeeded")
        answer = run_json("resend", "--failed")

        assert (answer["resent"], answer["skipped"]) == (3, 0)
        assert {delivery.status for delivery in Delivery.objects.exclude(id=succeeded.id)} <= {"pending", "retrying"}
        succeeded.refresh_from_db()
        assert succeeded.status == "succeeded"

    def test_a_dry_run_changes_nothing(self, failed):
        answer = run_json("resend", "--failed", "--dry-run", "--integration", failed[0].integration.slug)

        assert (answer["dry_run"], answer["total"]) == (True, 3)
        assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}

    def test_since_takes_a_time_or_how_long_ago(self, failed):
        assert run_json("resend", "--since", "1h", "--dry-run")["total"] == 3
        later = (timezone.now() + timedelta(days=1)).isoformat()
        assert run_json("resend", "--since", later, "--dry-run")["total"] == 0

    def test_single_ones_by_id(self, failed):
        run("resend", failed[0].public_id)

        failed[0].refresh_from_db()
        failed[1].refresh_from_db()
        assert failed[0].due_at is not None
        assert failed[1].status == "failed"

    def test_a_canary_that_fails_again_stops_it_with_the_reason(self, failed, monkeypatch):
        def refuse(_seconds: float) -> None:
            """The receiver, while the command waits."""
            Delivery.objects.filter(status="pending").update(status="failed", due_at=None, finished_at=timezone.now())

        monkeypatch.setattr("time.sleep", refuse)
        said = io.StringIO()
        with pytest.raises(CommandError, match=r"1 of 1 failed again \(100 %; at most 30 % may\). 2 were not resent"):
            call_command("resend", "--failed", "--canary", "--stop-above", "30", stderr=said)
        assert "No worker is running" in said.getvalue()
        assert Replay.objects.get().status == "paused"
        assert Delivery.objects.filter(trigger="manual").count() == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--integration", "nobody"],
            ["--canary", "--stop-above", "100"],
            ["--since", "yesterday"],
            ["--status", "lost"],
            ["--failed", "--status", "succeeded"],
            ["dlv_x"],
        ],
    )
    def test_bad_filters_are_named_and_change_nothing(self, failed, arguments):
        with pytest.raises(CommandError):
            run("resend", *arguments)
        assert set(Delivery.objects.values_list("status", flat=True)) == {"failed"}


class TestPrune:
    def test_deletes_what_finished_long_ago(self):
        old = timezone.now() - timedelta(days=100)
        DeliveryFactory(status="succeeded", created_at=old)
        young = DeliveryFactory(status="succeeded")

        assert run_json("prune", "--dry-run") == {"dry_run": True, "deliveries": 1}
        assert run_json("prune")["deliveries"] == 1
        assert list(Delivery.objects.all()) == [young]

    def test_other_days_can_be_given(self):
        DeliveryFactory(status="succeeded", created_at=timezone.now() - timedelta(days=2))

        assert run_json("prune", "--days", "1")["deliveries"] == 1

    def test_nonsense_is_refused(self):
        with pytest.raises(CommandError):
            run("prune", "--days", "-1")


def test_backfill_makes_what_is_missing_once():
    subscription = SubscriptionFactory(filter="status == 'sent'")
    EventFactory(store=subscription.store)
    EventFactory(store=subscription.store, data={"status": "lost"})
    name = f"nsub_{subscription.pk}"
    seen = run_json("backfill", name, "--since", "1h", "--dry-run")
    assert (seen["events"], seen["missing"], seen["counts"]) == (2, 1, {"missing": 1, "filter": 1})
    assert run_json("backfill", name, "--since", "1h", "--no-canary")["made"] == 1
    assert run_json("backfill", name, "--since", "1h", "--no-canary")["made"] == 0
    assert Delivery.objects.get().backfilled_by == "manage.py backfill"
    with pytest.raises(CommandError, match="Unknown subscription"):
        run_json("backfill", "nsub_x", "--since", "1h")
    with pytest.raises(CommandError, match="--since"):
        run_json("backfill", name, "--since", "x")
