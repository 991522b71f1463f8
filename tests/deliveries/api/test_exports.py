"""Lists as files by API: what the list holds, as the desk writes it, streamed and never unnoticed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from deliveries import exported
from deliveries.models import Delivery
from integrations.models import AuditEntry
from integrations.services.exports import PAGE
from tests.api_client import ApiClient, only_error
from tests.config.test_isolation import ROUTES
from tests.doors.world import SECRET, make_side
from tests.factories import (
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    NotificationFactory,
    RecordFactory,
)

pytestmark = pytest.mark.django_db
LISTS = sorted({route.strip("/").partition("/")[2] for route in ROUTES if route.startswith("exports/")})


def text_of(client: ApiClient, path: str) -> str:
    answer = client.get(f"exports/{path}")
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def lines_of(client: ApiClient, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(client, path).splitlines()]


def test_deliveries_are_exported_as_filtered_with_the_columns_of_the_desk(client: ApiClient) -> None:
    store = client.store
    failed = DeliveryFactory(store=store, status="failed", event=EventFactory(store=store, data={"phone": "+49"}))
    DeliveryFactory(store=store, status="succeeded")
    DeliveryFactory(status="failed")

    [line] = lines_of(client, "deliveries?status=failed")
    assert list(line) == [name for name, _ in exported.DELIVERIES.columns]
    assert (line["id"], line["data"]) == (failed.public_id, {"phone": "+49"})
    assert len(lines_of(client, "deliveries")) == 2
    assert only_error(client.get("exports/deliveries?status=odd"))["field"] == "status"


def test_csv_is_for_spreadsheets_and_its_formulas_are_harmless(client: ApiClient) -> None:
    RecordFactory(store=client.store, type="order", external_id="=1+1")
    text = text_of(client, "records?format=csv")
    assert text.startswith("\ufeff")
    [row] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (row["type"], row["id"]) == ("order", "'=1+1")
    assert only_error(client.get("exports/records?format=xlsx"))["field"] == "format"
    assert only_error(client.get("exports/records?format="))["field"] == "format"


def test_a_file_says_what_it_is(client: ApiClient) -> None:
    answer = client.get("exports/source_requests?format=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="hookdesk-source-requests-')
    assert client.get("exports/events")["Content-Type"] == "application/x-ndjson; charset=utf-8"


def test_each_list_takes_its_own_filters(client: ApiClient) -> None:
    store = client.store
    event = EventFactory(store=store, object_id="1001")
    EventFactory(store=store, object_id="1002")
    mirror = IntegrationFactory(store=store, slug="mirror")
    mine = AttemptFactory(delivery=DeliveryFactory(store=store, integration=mirror))
    AttemptFactory(delivery=DeliveryFactory(store=store))
    RecordFactory(store=store, type="order")
    RecordFactory(store=store, type="shipment")
    FailureGroupFactory(integration=mirror)
    NotificationFactory(store=store)

    assert [line["id"] for line in lines_of(client, "events?object=1001")] == [event.public_id]
    assert [line["delivery"] for line in lines_of(client, "attempts?integration=mirror")] == [mine.delivery.public_id]
    assert [line["type"] for line in lines_of(client, "records?type=order")] == ["order"]
    assert len(lines_of(client, "cases?integration=mirror")) == 1
    assert not lines_of(client, "cases?view=resolved")
    assert not lines_of(client, "notifications?status=resolved")
    assert only_error(client.get("exports/source_requests?source=nothing"))["field"] == "source"


def test_every_row_is_there_once_newest_first_over_many_pages(client: ApiClient) -> None:
    made = {EventFactory(store=client.store).public_id for _ in range(PAGE + 1)}
    assert [line["id"] for line in lines_of(client, "events")] == sorted(made, reverse=True)


def test_an_export_leaves_who_what_and_how_many(client: ApiClient) -> None:
    EventFactory(store=client.store, object_id="1001")
    EventFactory(store=client.store, object_id="1002")
    lines_of(client, "events?object=1001&format=ndjson")
    entry = AuditEntry.objects.get(action="export")
    assert (entry.actor, entry.store, entry.target_name) == (f"token {client.token.name}", client.store, "Events")
    assert entry.after == {"format": "ndjson", "filter": {"object": "1001"}, "rows": 1, "complete": True}
    assert [line["action"] for line in lines_of(client, "audit")] == ["export", "export"]
    assert client.call("HEAD", "exports/events").status_code == 405
    assert AuditEntry.objects.count() == 2


def test_as_in_the_desk_only_those_who_manage_may_export(client: ApiClient) -> None:
    for scope in ("read", "resolve", "push", "propose"):
        weaker = ApiClient(client.store, scopes=(scope,))
        assert [weaker.get(f"exports/{name}").status_code for name in LISTS] == [403] * len(LISTS)
    assert not AuditEntry.objects.exists()


def test_every_list_is_the_stores_own_and_without_credentials() -> None:
    left = make_side("LEFT")
    make_side("RIGHT")
    client = ApiClient(left.store)
    assert len(LISTS) == 16
    for name in LISTS:
        for kind in ("csv", "ndjson"):
            query = f"?format={kind}&view=all" if name == "cases" else f"?format={kind}"
            text = text_of(client, f"{name}{query}")
            assert SECRET not in text, name
            assert "RIGHT" not in text, name
    assert Delivery.objects.filter(store=left.store).exists()
    assert "LEFT" in text_of(client, "deliveries")
