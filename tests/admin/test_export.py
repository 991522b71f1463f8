"""Lists as files: what the list shows, whole, without formulas or credentials, and never unnoticed."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from integrations.admin.base import DeskAdmin
from integrations.models import AuditEntry
from integrations.services.exports import PAGE, harmless
from tests.doors.world import SECRET, make_person, make_side
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, StoreFactory

pytestmark = pytest.mark.django_db
EXPORTED = [page for page in admin.site._registry.values() if isinstance(page, DeskAdmin) and page.export_columns]


def address(model, kind="csv", query=""):
    return reverse(f"admin:{model}_export_{kind}") + query


def export(client, model, kind="csv", query=""):
    answer = client.post(address(model, kind, query))
    assert answer.status_code == 200, answer.content
    text = b"".join(answer.streaming_content).decode()
    if kind == "ndjson":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.fixture
def superuser(browse):
    return browse()


def test_deliveries_are_exported_as_filtered_with_their_payloads(superuser):
    store, other = StoreFactory(), StoreFactory()
    mine = DeliveryFactory(store=store, status="failed", event=EventFactory(store=store, data={"phone": "+49"}))
    DeliveryFactory(store=other, status="failed")
    DeliveryFactory(store=store, status="succeeded")

    [row] = export(superuser, "deliveries_delivery", query=f"?tab=needs&store={store.pk}")
    assert (row["id"], row["status"], row["data"]) == (mine.public_id, "failed", '{"phone": "+49"}')
    [line] = export(superuser, "deliveries_delivery", "ndjson", f"?tab=needs&store={store.pk}")
    assert line["data"] == {"phone": "+49"}
    assert len(export(superuser, "deliveries_delivery", query="?tab=all")) == 3
    assert superuser.post(address("deliveries_delivery", query="?status=odd&tab=all")).status_code == 400


@pytest.mark.parametrize("text", ["=1+1", "+49 151", "-2", "@SUM(A1)", "\t=1", "＝1"])
def test_formulas_are_harmless(text):
    assert harmless(text) == f"'{text}"


def test_numbers_and_plain_texts_stay():
    assert [harmless(value) for value in (-5, 1.5, "a=b", None, True, {"a": 1})] == [
        -5,
        1.5,
        "a=b",
        "",
        "true",
        '{"a": 1}',
    ]


def test_every_row_is_there_once_over_many_pages_in_bounded_queries(superuser):
    store = StoreFactory()
    made = {EventFactory(store=store).public_id for _ in range(2 * PAGE + 1)}
    with CaptureQueriesContext(
        connection,
    ) as queries:
        rows = export(superuser, "deliveries_event")
    assert [row["id"] for row in rows] == sorted(made, reverse=True)
    reads = [
        query
        for query in queries
        if 'FROM "deliveries_event"' in query["sql"] and query["sql"].endswith(f"LIMIT {PAGE}")
    ]
    assert len(reads) == 3


def test_an_export_leaves_who_what_and_how_many(superuser):
    EventFactory(object_id="1001")
    EventFactory(object_id="1002")
    export(superuser, "deliveries_event", "ndjson", "?q=1001")
    entry = AuditEntry.objects.get(action="export")
    assert (entry.target_type, entry.target_name) == ("event", "Events")
    assert entry.after == {"format": "ndjson", "filter": {"q": "1001"}, "rows": 1, "complete": True}


def test_one_that_was_broken_off_says_so(superuser):
    for _ in range(3):
        EventFactory()
    answer = superuser.post(address("deliveries_event", "ndjson"))
    stream = iter(answer.streaming_content)
    next(stream)
    next(stream)
    # The test client's own iterator closes the response, and keeps the connection, which holds the test's transaction.
    answer._iterator.close()
    entry = AuditEntry.objects.get(action="export")
    assert (entry.after["rows"], entry.after["complete"]) == (1, False)


def test_every_list_can_be_exported_within_ones_stores_and_without_credentials(client):
    left = make_side("LEFT")
    make_side("RIGHT")
    client.force_login(make_person("Manager", [left.store]))
    assert len(EXPORTED) > 15
    for page in EXPORTED:
        query = "?tab=all" if page.opts.model_name == "delivery" else ""
        for kind in ("csv", "ndjson"):
            answer = client.post(address(f"{page.opts.app_label}_{page.opts.model_name}", kind, query))
            assert answer.status_code == 200, page
            text = b"".join(answer.streaming_content).decode()
            assert SECRET not in text, page
            assert page.store_path is None or "RIGHT" not in text, page


def test_without_the_permission_nothing_is_offered_or_given(client):
    store = StoreFactory()
    client.force_login(make_person("Operator", [store]))
    EventFactory(store=store)
    assert b"Export" not in client.get(reverse("admin:deliveries_event_changelist")).content
    assert client.post(address("deliveries_event")).status_code == 403
    assert not AuditEntry.objects.filter(action="export").exists()


def test_lists_offer_the_export_with_their_filter(superuser):
    IntegrationFactory()
    page = superuser.get(reverse("admin:integrations_integration_changelist") + "?q=a").content.decode()
    assert address("integrations_integration", "csv", "?q=a") in page
    assert superuser.get(address("integrations_integration")).status_code == 405
