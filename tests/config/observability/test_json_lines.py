"""`LOG_FORMAT=json`: one object a line, whoever prints it."""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import datetime
from typing import Any

import pytest

from config.observability.attempt_lines import log_attempts
from config.observability.json_lines import JsonFormatter, JsonStream
from config.observability.request_lines import path_of
from deliveries import hooks
from integrations.foundation import request_id
from tests.factories import DeliveryFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import answer


def formatted(message: str, *values: Any, **extra: Any) -> dict[str, Any]:
    """By the formatter that the settings name."""
    record = logging.LogRecord("hookdesk.x", logging.WARNING, "f.py", 1, message, values, extra.pop("exc_info", None))
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_record_is_one_object_with_time_in_utc() -> None:
    entry = formatted("it is %s\nand on two lines", "späte")
    assert (entry["level"], entry["logger"], entry["message"]) == (
        "WARNING", "hookdesk.x", "it is späte\nand on two lines",
    )  # fmt: skip
    assert entry["time"].endswith("Z")
    assert datetime.fromisoformat(entry["time"]).utcoffset() is not None


def test_a_traceback_is_a_member_without_the_rows_that_a_database_quotes() -> None:
    quoted = f"null value\nDETAIL:  Failing row contains ({'CAN' + 'ARY'})."
    try:
        raise ValueError(quoted)
    except ValueError:
        entry = formatted("it failed", exc_info=sys.exc_info())
    assert "Traceback" in entry["error"]
    assert "CANARY" not in json.dumps(entry)


def test_only_what_is_meant_for_the_log_becomes_a_member() -> None:
    entry = formatted("x", fields={"event": "delivery.attempt"}, data={"secret": "CANARY"})
    assert entry["event"] == "delivery.attempt"
    assert "CANARY" not in json.dumps(entry)


def test_lines_about_a_request_have_its_id() -> None:
    request_id.set_current("of-this-request")
    try:
        assert formatted("x")["request_id"] == "of-this-request"
    finally:
        request_id.set_current(None)
    assert "request_id" not in formatted("x")


def test_what_is_printed_becomes_objects_line_by_line() -> None:
    under = io.StringIO()
    stream = JsonStream(under, "stdout")
    print("first", "line", file=stream)
    stream.write("half a ")
    stream.write("line\n\n")
    assert [json.loads(line)["message"] for line in under.getvalue().splitlines()] == ["first line", "half a line"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"/api/v1/push?token=CANARY"[:12], "/api/v1/push"),
        (b"/in/CANARY", "/in/\N{HORIZONTAL ELLIPSIS}"),
        (
            b"/accounts/password/reset/key/abc-CANARYCANARYCANARY/",
            "/accounts/password/reset/key/\N{HORIZONTAL ELLIPSIS}/",
        ),
        (b"/caf%C3%A9%0a", "/caf\u00e9\n"),
    ],
)
def test_addresses_that_are_secrets_are_cut_off(path: bytes, shown: str) -> None:
    assert path_of(path) == shown


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The members of each line of an attempt."""
    caplog.set_level(logging.INFO, "hookdesk.attempts")
    with hooks.attempted.connected(log_attempts):
        yield lambda: [getattr(record, "fields") for record in caplog.records if hasattr(record, "fields")]  # noqa: B009


@pytest.mark.django_db
def test_each_attempt_has_a_line_and_none_has_a_payload(receiver: Any, deliver: Any, lines: Any) -> None:
    from datetime import timedelta

    receiver.script(answer(500, b"CANARY of an answer"), answer(422, b"CANARY"), answer(200, b"CANARY"))
    integration = IntegrationFactory(url=receiver.url(), retry_policy=[60], permanent_statuses=[])
    delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    deliver()
    deliver(later=timedelta(seconds=61))
    other = DeliveryFactory(subscription=delivery.subscription)
    deliver(later=timedelta(seconds=62))

    found = lines()
    assert [(line["delivery"], line["attempt"], line["status"], line["outcome"]) for line in found] == [
        (f"dlv_{delivery.id.hex}", 1, 500, "retrying"),
        (f"dlv_{delivery.id.hex}", 2, 422, "failed"),
        (f"dlv_{other.id.hex}", 1, 200, "succeeded"),
    ]
    first = found[0]
    assert first["event"] == "delivery.attempt"
    assert (first["store"], first["integration"]) == (str(integration.store_id), integration.slug)
    assert first["subscription"] == f"nsub_{delivery.subscription_id}"
    assert first["topic"] == delivery.event.topic
    assert first["duration_ms"] >= 0
    assert "CANARY" not in json.dumps(found)


@pytest.mark.django_db
def test_a_listener_that_fails_delays_nothing(receiver: Any, deliver: Any) -> None:
    def listener(reports: Any) -> None:
        raise RuntimeError("the disk of the logs is full")

    delivery = DeliveryFactory(subscription=SubscriptionFactory(integration=IntegrationFactory(url=receiver.url())))
    with hooks.attempted.connected(listener):
        assert deliver() == 1
    delivery.refresh_from_db()
    assert delivery.status == "succeeded"
    assert len(receiver.requests) == 1
