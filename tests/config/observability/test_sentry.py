"""Sentry: errors arrive, and nothing of a payload or a secret with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk

from config.observability import reporting, sentry
from tests.collector import Collector
from tests.factories import DeliveryFactory, SubscriptionFactory
from tests.receiver import Receiver

SECRET, PAYLOAD = "CANARY-token-1", "CANARY-payload-2"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        sentry.start(f"http://key@{made.address}/1")
        yield made
        sentry_sdk.get_client().close(timeout=2)
        # Without its own integrations, which would stay in this process and add headers to every request.
        sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


def events(collector: Collector) -> list[dict[str, Any]]:
    sentry_sdk.flush(timeout=5)
    found = []
    for path, body in collector.taken:
        assert path == "/api/1/envelope/"
        *_, document = body.rstrip().split(b"\n")
        found.append(json.loads(document))
    return found


def fail(document: dict[str, str], token: str) -> None:
    """Both are in the frame, in the exception's text and in the line of the log."""
    try:
        raise ValueError(f"cannot send {document} with {token}")
    except ValueError:
        logging.getLogger("hookdesk.engine").exception("could not send %s of %s", document, token)


def test_an_error_arrives_without_what_it_was_about(collector: Collector) -> None:
    sentry_sdk.set_user({"email": SECRET})
    sentry_sdk.set_extra("document", PAYLOAD)
    logging.getLogger("hookdesk.engine").warning("before: %s", PAYLOAD)
    fail({"note": PAYLOAD}, SECRET)
    (event,) = events(collector)
    assert event["logentry"] == {"message": "could not send %s of %s"}
    assert (event["logger"], event["level"]) == ("hookdesk.engine", "error")
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert SECRET.encode() not in collector.everything
    assert PAYLOAD.encode() not in collector.everything


def test_what_is_no_error_does_not_arrive(collector: Collector) -> None:
    logging.getLogger("hookdesk.engine").warning("the database is away: %s", PAYLOAD)
    assert events(collector) == []


def test_a_broken_address_is_said_and_stops_nothing(settings: Any) -> None:
    settings.SENTRY_DSN = "no address"
    assert "Client Keys" in reporting._report_errors()


def test_receivers_get_no_header_of_it(collector: Collector, receiver: Receiver, deliver: Callable[..., int]) -> None:
    DeliveryFactory(subscription=SubscriptionFactory(integration__url=receiver.url("/hook")))
    deliver()
    names = {name.lower() for name, _ in receiver.wait_for(1)[0].headers}
    assert not names & {"sentry-trace", "baggage", "traceparent"}
