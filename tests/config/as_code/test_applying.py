"""Files are applied through the services: all or nothing, twice is once, and nothing is deleted unasked."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from django.utils import timezone

from config.as_code import ConfigurationError, export_configuration, json_schema
from config.as_code.yaml_text import dump, load
from deliveries.models import Recipe
from deliveries.recipes.applying import _why_over
from deliveries.recipes.keeping import switch_off
from integrations.foundation.audit import HOOKDESK
from integrations.models import AuditEntry, ConfigVersion, Integration, Source, Store
from notifications.models import Channel
from subscriptions.models import Subscription, Topic
from tests.config.as_code.conftest import FILE, VALUES
from tests.factories import IntegrationFactory, StoreFactory, SubscriptionFactory, TopicFactory

NOW = "2026-11-27T12:00:00Z"


@pytest.fixture(autouse=True)
def _at_a_time() -> Any:
    import time_machine

    with time_machine.travel(NOW, tick=True):
        yield


def changes(report: Any) -> list[str]:
    return [f"{change.action} {change.kind} {change.name}" for change in report.changes]


def refusal(apply: Any, file: Any, **options: bool) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        apply(file, **options)
    return dict(caught.value.problems)


def test_everything_in_the_file_is_made_by_apply_and_audited(apply):
    report = apply()
    assert changes(report) == [
        "create store My shop",
        "create topic order.paid",
        "create integration warehouse",
        "create integration twilio",
        "create source stripe",
        "create subscription order.paid, shipment.* → warehouse",
        "create subscription intent human_handover → twilio",
        "create subscription user.created → https://203.0.113.8/in",
        "create channel Pager",
        "create channel Team",
        "create channel Ops",
        "create recipe Phone prefix",
    ]
    warehouse = Integration.objects.get(slug="warehouse")
    assert (warehouse.token, warehouse.permanent_statuses) == ("canary-bearer", [400, 410])
    assert warehouse.active_secrets(timezone.now()) == [VALUES["WAREHOUSE_SECRET"]]
    assert Source.objects.get().active_secrets(timezone.now()) == ["whsec_canary"]
    assert Channel.objects.get(name="Pager").options == {"routing_key": VALUES["PAGER_OPTIONS_ROUTING_KEY"]}
    assert list(Channel.objects.get(name="Ops").stores.all()) == []
    assert set(AuditEntry.objects.values_list("actor", flat=True)) == {"apply"}
    written = json.dumps([[entry.before, entry.after] for entry in AuditEntry.objects.all()])
    assert "canary" not in written


def test_the_second_time_nothing_changes_at_all(apply):
    apply()
    rows = (Integration, Source, Subscription, Topic)
    before = [list(model.objects.order_by("pk").values_list("pk", "updated_at")) for model in rows]
    version, entries = ConfigVersion.current(), AuditEntry.objects.count()
    assert changes(apply()) == []
    assert changes(apply(deletes=True)) == []
    assert [list(model.objects.order_by("pk").values_list("pk", "updated_at")) for model in rows] == before
    assert (ConfigVersion.current(), AuditEntry.objects.count()) == (version, entries)


def test_a_plan_says_what_would_be_and_does_nothing(apply):
    assert len(changes(apply(is_plan=True))) == 12
    assert not Store.objects.exists()
    apply()
    changed = (
        FILE.replace("name: Warehouse", "name: Depot").replace("canary", "").replace("token: {env: W", "token: {env: W")
    )
    plan = apply(changed, is_plan=True)
    assert changes(plan) == ["change integration warehouse"]
    assert plan.changes[0].fields == {"name": {"before": "Warehouse", "after": "Depot"}}
    assert Integration.objects.get(slug="warehouse").name == "Warehouse"


def test_secrets_are_masked_in_reports(apply, environment):
    apply()
    environment["WAREHOUSE_TOKEN"] = "another-canary"
    environment["STRIPE_SECRET"] = "whsec_other_canary"
    report = apply(is_plan=True)
    assert changes(report) == ["change integration warehouse", "change source stripe"]
    assert report.changes[0].fields == {"token": {"before": "***", "after": "***"}}
    assert "canary" not in str(report)


def test_export_then_apply_into_an_empty_database_then_export_is_the_same(apply, export):
    apply()
    first = export()
    assert "canary" not in dump(first)
    assert "in-a-url" not in dump(first)
    jsonschema.validate(first, json_schema())
    for model in (Channel, Recipe, Store):
        model.objects.all().delete()
    apply(first)
    assert export() == first
    assert changes(apply(first, deletes=True)) == []


def test_production_becomes_what_staging_is(apply, export, environment):
    """Made by hand, with rows and settings of its own; afterwards their exports are the same."""
    apply()
    staging = export()
    for model in (Channel, Recipe, Store):
        model.objects.all().delete()
    store = StoreFactory(name="My shop")
    TopicFactory(store=store, name="old.topic")
    made = IntegrationFactory(store=store, slug="warehouse", token="production's", rate_limit=9, headers={"X-Old": "1"})
    SubscriptionFactory(integration=made, topics=["order.paid"], filter="total > `1`")
    IntegrationFactory(store=store, slug="gone")
    other = IntegrationFactory(slug="of-another-store")

    apply(staging, deletes=True)
    made.refresh_from_db()
    assert (made.token, made.rate_limit, made.headers["X-Team"]) == ("canary-bearer", 5.0, "shipping")
    assert Integration.objects.alive().filter(pk=other.pk).exists()
    assert Subscription.objects.alive().filter(integration=made).count() == 1
    exported = {
        name: [entry for entry in entries if name != "stores" and entry.get("store") == "My shop"]
        for name, entries in export().items()
        if name != "version"
    }
    wanted = {
        name: [e for e in entries if e.get("store") == "My shop"]
        for name, entries in staging.items()
        if name != "version"
    }
    assert exported == wanted


def test_what_the_file_does_not_name_stays_unless_it_is_asked_for(apply):
    apply()
    document = load(FILE)
    for name in ("topics", "sources", "subscriptions", "recipes"):
        document[name] = document[name][:-1]
    document["channels"] = [one for one in document["channels"] if one["name"] == "Ops"]
    assert changes(apply(document)) == []
    report = apply(document, deletes=True)
    assert changes(report) == [
        "delete recipe Phone prefix",
        "delete channel Team",
        "delete channel Pager",
        "delete subscription user.created → https://203.0.113.8/in",
        "delete source stripe",
        "delete topic order.paid",
    ]
    assert changes(apply(document, deletes=True)) == []
    assert [channel.name for channel in Channel.objects.all()] == ["Ops"]


def test_a_section_that_the_file_does_not_have_is_left_alone(apply):
    apply()
    assert changes(apply({"version": 1, "stores": [{"name": "My shop"}]}, deletes=True)) == []


def test_it_is_all_or_nothing(apply):
    document = load(FILE)
    document["subscriptions"].append({"integration": "warehouse", "topics": ["a.b"], "filter": "total >"})
    document["subscriptions"].append({"integration": "nowhere", "topics": ["a.b"]})
    assert refusal(apply, document) == {
        "subscriptions[3].filter": "The expression is incomplete. (column 8)",
        "subscriptions[4].integration": "There is no integration 'nowhere' in this store.",
    }
    assert not Store.objects.exists()


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"integratons": []}, "integratons", "Did you mean integrations?"),
        ({"version": 2}, "version", "must be 1"),
        ({"topics": [{"name": "a.b", "shema": {}}]}, "topics[0].shema", "Did you mean schema?"),
        ({"topics": {"a.b": {"shema": {}}}}, "topics.a.b.shema", "Did you mean schema?"),
        ({"topics": [{"name": "a.b", "store": "Other"}]}, "topics[0].store", "There is no store 'Other'"),
        ({"topics": 5}, "topics", "a list"),
        ({"topics": ["a.b"]}, "topics[0]", "a mapping"),
        ({"topics": [{"description": "x"}]}, "topics[0].name", "required"),
        ({"topics": [{"name": "a.b"}, {"name": "a.b"}]}, "topics[1]", "topics[0] already"),
        ({"integrations": [{"slug": "a", "token": "clear"}]}, "integrations[0].token", "{env: NAME}"),
        ({"integrations": [{"slug": "a", "token": {"env": "NOT_SET"}}]}, "integrations[0].token", "NOT_SET is not set"),
        ({"integrations": [{"slug": "a", "url": {"env": "SECRET_KEY"}}]}, "integrations[0].url", "Hookdesk itself"),
        ({"integrations": [{"slug": "a", "token": {"file": "no"}}]}, "integrations[0].token", "cannot be read"),
        ({"integrations": [{"slug": "a", "name": "A", "url": "http://10.0.0.1"}]}, "integrations[0].url", ""),
        (
            {"integrations": [{"slug": "a", "name": "A", "connector": "mailchimp", "parameters": {"api_key": "k-us1"}}]},
            "integrations[0].parameters",
            "api_key: a secret",
        ),
        ({"channels": [{"name": "C", "kind": "slack", "options": {"url": "https://x.example"}}]}, "channels[0].options", "{env"),
        ({"stores": [{"name": "My shop", "is_approval_required": 1}]}, "stores[0].is_approval_required", "true or false"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_path(apply, environment, change, path, words):
    environment["SECRET_KEY"] = "x"
    found = refusal(apply, {"version": 1, "stores": [{"name": "My shop"}], **change})
    assert list(found) == [path]
    assert words in found[path]
    assert not Store.objects.exists()


def test_entries_of_several_stores_say_whose_they_are(apply):
    stores = [{"name": "A"}, {"name": "B"}]
    topics = [{"store": "A", "name": "x.y"}, {"store": "B", "name": "x.y"}]
    apply({"version": 1, "stores": stores, "topics": topics})
    assert sorted(Topic.objects.values_list("store__name", "name")) == [("A", "x.y"), ("B", "x.y")]
    assert list(refusal(apply, {"version": 1, "stores": stores, "topics": [{"name": "x.z"}]})) == ["topics[0].store"]


def test_a_mapping_by_slug_does_as_well(apply):
    file = {"version": 1, "stores": {"Shop": None}, "topics": {"a.b": {"description": "one"}}}
    assert changes(apply(file)) == ["create store Shop", "create topic a.b"]
    jsonschema.validate(file, json_schema())


def test_a_file_loses_one_line_end(apply, tmp_path):
    (tmp_path / "token").write_bytes(b"first\nsecond\r\n")
    (tmp_path / "plain").write_bytes(b"one ")
    entry = {"slug": "a", "name": "A", "url": "https://203.0.113.7/", "headers": {"X": {"file": "plain"}}}
    apply({"version": 1, "stores": [{"name": "S"}], "integrations": [entry]})
    assert Integration.objects.get().headers == {"X": "one "}
    entry["token"] = {"file": "token"}
    assert "integrations[0].token" in refusal(apply, {"version": 1, "stores": [{"name": "S"}], "integrations": [entry]})
    (tmp_path / "token").write_bytes(b"first\r\n")
    apply({"version": 1, "stores": [{"name": "S"}], "integrations": [entry]})
    assert Integration.objects.get().token == "first"


class TestSubscriptions:
    def test_are_recognised_by_what_they_take(self, apply):
        apply()
        document = load(FILE)
        document["subscriptions"][0] |= {"filter": "total > `9`", "topics": ["shipments.*", "order.paid"]}
        report = apply(document)
        assert changes(report) == ["change subscription shipment.*, order.paid → warehouse"]
        assert list(report.changes[0].fields) == ["topics", "filter"]

    def test_with_other_topics_is_another_one_unless_the_file_is_all_there_is(self, apply):
        apply()
        document = load(FILE)
        document["subscriptions"][0]["topics"] = ["refund.*"]
        assert changes(apply(document, is_plan=True)) == ["create subscription refund.* → warehouse"]
        assert changes(apply(document, is_plan=True, deletes=True)) == ["change subscription refund.* → warehouse"]

    def test_that_are_the_same_twice_stay_two(self, apply, export):
        document = load(FILE)
        document["subscriptions"] = [{"integration": "warehouse", "topics": ["a.b"]}] * 2
        assert len(changes(apply(document))) == 11
        assert len(export()["subscriptions"]) == 2
        assert changes(apply(document, deletes=True)) == []


class TestRecipes:
    def test_work_without_a_person_or_token(self, apply):
        apply()
        assert _why_over(Recipe.objects.get(), timezone.now()) == ""

    def test_that_were_switched_off_stay_off(self, apply, export):
        apply()
        switch_off(recipe=Recipe.objects.get(), actor=HOOKDESK, reason="A delivery has failed again.")
        assert changes(apply()) == []
        assert export()["recipes"] == []

    def test_that_are_changed_are_made_anew(self, apply):
        apply()
        report = apply(FILE.replace("daily_cap: 20", "daily_cap: 30"))
        assert changes(report) == ["change recipe Phone prefix"]
        assert sorted(Recipe.objects.values_list("is_active", "daily_cap")) == [(False, 20), (True, 30)]
        assert changes(apply(FILE.replace("daily_cap: 20", "daily_cap: 30"))) == []

    def test_that_have_expired_are_not_made(self, apply):
        assert "create recipe Phone prefix" not in changes(apply(FILE.replace("2027-03-01", "2026-03-01")))


def test_the_second_approver_is_not_switched_off_by_a_file(apply):
    store = StoreFactory(is_approval_required=True)
    file = {"version": 1, "stores": [{"name": store.name, "is_approval_required": False}]}
    assert list(refusal(apply, file)) == ["stores[0].is_approval_required"]


def test_two_stores_of_one_name_are_refused(apply, db):
    StoreFactory(name="Twin"), StoreFactory(name="Twin")
    assert "several stores" in refusal(apply, {"version": 1, "stores": [{"name": "Twin"}]})["stores[0]"]
    with pytest.raises(ConfigurationError, match="export --store ID"):
        export_configuration()
    assert export_configuration(Store.objects.first())["stores"][0]["name"] == "Twin"


def test_the_schema_refuses_what_apply_refuses():
    jsonschema.validate(load(FILE), json_schema())
    for change in ({"integratons": []}, {"topics": [{"name": "a.b", "shema": 1}]}, {"topics": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"version": 1, **change}, json_schema())


def test_a_new_format_does_not_bring_its_defaults_where_the_file_says_otherwise(apply):
    entry = {"slug": "a", "name": "A", "url": "https://203.0.113.7/", "retry_policy": "patient", "timeout": 7}
    file = {"version": 1, "stores": [{"name": "S"}], "integrations": [entry]}
    apply(file)
    entry["wire_format"] = "hub"
    assert changes(apply(file)) == ["change integration a"]
    made = Integration.objects.get()
    assert (made.wire_format, made.retry_policy, made.timeout) == ("hub", "patient", 7)
    assert changes(apply(file)) == []
