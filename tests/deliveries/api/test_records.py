"""Records by API: the last data of each object, listed, and found by whatever id it was pushed with."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from tests.api_client import ApiClient, only_error
from tests.factories import RecordFactory

pytestmark = pytest.mark.django_db
#: Ids of real senders, and those that paths do odd things with.
IDS = [
    "7",
    "a/b",
    "gid://shop/Order/7",
    "a/",
    "/a",
    "a//b",
    "50%",
    "a%2Fb",
    "a b",
    " a",
    "a?b#c",
    "ä/ö",
    "a+b",
    "..a/.",
]


@pytest.mark.parametrize("external_id", IDS)
def test_a_record_is_reached_by_whatever_id_it_was_pushed_with(client: ApiClient, external_id: str) -> None:
    pushed = client.post("push", {"orders": [{"id": external_id, "status": "sent"}]})
    assert pushed.status_code == 202
    found = client.get(f"records/order/{quote(external_id, safe='')}")
    assert (found.status_code, found.json()["id"]) == (200, external_id)
    listed = client.get(f"records?id={quote(external_id, safe='')}").json()["items"]
    assert [item["id"] for item in listed] == [external_id]


def test_a_slash_at_the_end_of_the_path_is_the_ids_if_there_is_such_an_id(client: ApiClient) -> None:
    RecordFactory(store=client.store, type="order", external_id="7")
    assert client.get("records/order/7/").json()["id"] == "7"
    RecordFactory(store=client.store, type="order", external_id="7/")
    assert client.get("records/order/7/").json()["id"] == "7/"
    assert client.get("records/order/7").json()["id"] == "7"
    assert client.get("records/order/7//").json()["id"] == "7/"
    assert client.get("records/order/8/").status_code == 404


def test_records_are_listed_the_last_changed_first(client: ApiClient) -> None:
    now = timezone.now()
    for number, days in (("old", 3), ("new", 1)):
        RecordFactory(store=client.store, type="order", external_id=number, updated_at=now - timedelta(days=days))
    RecordFactory(store=client.store, type="shipment", external_id="other", updated_at=now - timedelta(days=2))
    RecordFactory(external_id="theirs")

    def ids(query: str) -> list[str]:
        return [item["id"] for item in client.get(f"records{query}").json()["items"]]

    assert ids("") == ["new", "other", "old"]
    assert ids("?type=order") == ["new", "old"]
    since = (now - timedelta(days=2, hours=1)).isoformat()
    assert ids(f"?since={quote(since)}") == ["new", "other"]
    assert ids(f"?until={quote(since)}") == ["old"]
    first = client.get("records?limit=2").json()
    assert [item["id"] for item in client.get(first["pages"]["next"].partition("/api/v1/")[2]).json()["items"]] == [
        "old"
    ]
    assert only_error(client.get("records?since=yesterday"))["field"] == "since"
