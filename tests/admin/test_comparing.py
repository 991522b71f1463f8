"""Two attempts or two revisions side by side; texts to copy and download."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from deliveries.models import Attempt, Delivery, Revision
from tests.factories import AttemptFactory, StoreFactory

pytestmark = pytest.mark.django_db


def address(delivery: Delivery, rest: str) -> str:
    return f"/admin/deliveries/delivery/{delivery.pk}/{rest}"


def test_the_last_two_attempts_are_compared_by_value(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    AttemptFactory(
        delivery=delivery, number=2, outcome=Attempt.Outcome.FAILED, response_status=502,
        request_body=b'{"shipment":{"id":"1000","phone":"55"}}', response_body=b"Bad gateway",
    )  # fmt: skip

    page = admin.get(address(delivery, "compare/")).content.decode()

    assert "attempt #1" in page
    assert "attempt #2" in page
    assert "<ins>" in page
    assert "HTTP " in page


def test_two_revisions_are_compared_and_either_side_can_be_chosen(
    admin: Client, failed: Callable[..., Delivery]
) -> None:
    delivery = failed()
    edited = {**delivery.event.data, "status": "sent"}
    Revision.objects.create(delivery=delivery, number=1, data=edited, patch=[], author_name="anna")

    page = admin.get(address(delivery, "compare/?of=revisions&left=1&right=0")).content.decode()

    left, right = page.index("<del>"), page.index("<ins>")
    assert "sent" in page[left : left + 40]
    assert "ready" in page[right : right + 40]


@pytest.mark.parametrize("query", ["", "?of=revisions", "?left=x&right=-1", "?left=" + "9" * 40, "?of=nothing&left=٣"])
def test_one_alone_is_no_error(admin: Client, failed: Callable[..., Delivery], query: str) -> None:
    response = admin.get(address(failed(), f"compare/{query}"))

    assert response.status_code == 200
    assert "This delivery does not have two" in response.content.decode()


def test_a_payload_is_downloaded_as_inert_json(admin: Client, failed: Callable[..., Delivery]) -> None:
    delivery = failed()

    response = admin.get(address(delivery, "payload/"))

    assert json.loads(response.content) == delivery.event.data
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert admin.get(address(delivery, "payload/7/")).status_code == 404


def test_the_command_of_an_attempt_has_placeholders(admin: Client, failed: Callable[..., Any]) -> None:
    delivery = failed()
    delivery.attempts.update(request_headers=[["Authorization", "Bearer ***"]])

    text = admin.get(address(delivery, "attempts/1/raw/?part=curl")).content.decode()

    assert text.startswith("curl -i -X POST ")
    assert "Bearer YOUR_AUTHORIZATION" in text


def test_nobody_compares_what_they_may_not_see(browse: Callable[..., Client], failed: Callable[..., Delivery]) -> None:
    delivery = failed()
    stranger = browse("Manager", stores=[StoreFactory()])
    nobody = browse("Viewer", is_unlimited=False)

    for rest in ("compare/", "payload/", "payload/1/", "attempts/1/raw/?part=curl"):
        assert stranger.get(address(delivery, rest)).status_code == 404
        assert nobody.get(address(delivery, rest)).status_code == 404
