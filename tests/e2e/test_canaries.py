"""Canaries: credentials are nowhere in clear, and payloads nowhere but in the database, whatever goes wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.collector import Collector
from tests.e2e.installation import Installation
from tests.processes import eventually
from tests.receiver import Exchange, Receiver, answer

CREDENTIALS = ["CANARY-token-1", "CANARY-key-2", "CANARY-sub-3", "CANARYsecret4CANARYsecret4CANARY"]
PAYLOAD = "CANARY-payload-5"


def echoing(exchange: Exchange) -> bool:
    """A receiver that says in its answer, and in its reason, all that it was sent."""
    return answer(500, exchange.request.raw[:20_000])(exchange)


def live(installation: Installation, receiver: Receiver) -> dict[str, str]:
    """Store, integration with credentials, failures that echo them, a resend, a refused request, a replay."""
    receiver.script(echoing)
    made = installation.make_store(receiver.url("/plain"))
    integration = {
        "name": "Echo", "slug": "echo", "url": receiver.url("/echo"), "wire_format": "standard", "retry_policy": "standard",
        "auth_type": "token", "token": CREDENTIALS[0], "parameters": {"api_key": CREDENTIALS[1]},
    }  # fmt: skip
    status, answered = installation.request("POST", "/api/v1/integrations", integration, **made)
    assert status == 201, answered
    secret: str = answered["secret"]
    wanted = {"integration": "echo", "topics": ["shipment"], "parameters": {"k": CREDENTIALS[2]}}
    assert installation.request("POST", "/api/v1/subscriptions", wanted, **made)[0] == 200
    shipment = {"shipments": [{"id": "1", "note": PAYLOAD}]}
    assert installation.request("POST", "/api/v1/push", shipment, **made)[0] == 202
    receiver.wait_for(2, 20)
    odd: list[Any] = [{"shipments": [{"note": PAYLOAD}]}, {"shipments": PAYLOAD}, {PAYLOAD: [{"id": "\ud800"}]}]
    for document in odd:
        installation.request("POST", "/api/v1/push", document, **made)
    installation.request("POST", "/api/v1/integrations/echo/ping", None, **made)
    installation.request("POST", "/api/v1/replays", {"integration": "echo", "status": ["failed"]}, **made)
    eventually(lambda: len(installation.rows("SELECT id FROM deliveries_attempt WHERE outcome = 'failed'")) >= 2, 20)
    return {**made, "secret": secret}


def stop(installation: Installation) -> None:
    assert installation.process is not None
    os.killpg(installation.process.pid, signal.SIGTERM)
    assert installation.process.wait(30) == 0


def forbidden(made: dict[str, str]) -> list[bytes]:
    words = [*CREDENTIALS[:3], made["X-Hub-Access-Token"], made["secret"], made["secret"].removeprefix("whsec_")]
    return [word.encode() for word in words]


def test_credentials_are_in_no_file_and_payloads_in_no_log(
    installation: Installation, receiver: Receiver, tmp_path: Path
) -> None:
    installation.start()
    made = live(installation, receiver)
    stop(installation)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"log", "hookdesk.sqlite3"}
    for path in files:
        content = path.read_bytes()
        assert [word for word in forbidden(made) if word in content] == [], path.name
    assert PAYLOAD not in installation.said()
    assert PAYLOAD.encode() in installation.database.read_bytes(), "the canary was never there"


def test_neither_json_logs_nor_traces_nor_reports_of_errors_have_secrets_or_payloads(
    receiver: Receiver, tmp_path: Path
) -> None:
    with Collector() as collector:
        installed = Installation(
            tmp_path,
            LOG_FORMAT="json",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.address}",
            SENTRY_DSN=f"http://key@{collector.address}/1",
        )
        try:
            installed.start()
            made = live(installed, receiver)
            break_integration(installed)
            shipment = {"shipments": [{"id": "2", "note": PAYLOAD}]}
            assert installed.request("POST", "/api/v1/push", shipment, **made)[0] == 202
            eventually(lambda: any(path == "/api/1/envelope/" for path, _ in collector.taken), 20)
            stop(installed)
        finally:
            installed.clean_up()

    lines = [json.loads(line) for line in installed.said().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    attempts = [line for line in lines if line.get("event") == "delivery.attempt"]
    assert {line["outcome"] for line in attempts} >= {"retrying", "failed"}
    requests = {(line["method"], line["path"], line["status"]) for line in lines if line.get("event") == "http.request"}
    assert requests >= {("POST", "/api/v1/push", 202), ("POST", "/api/v1/push", 400), ("GET", "/healthz", 200)}
    assert any("is running at" in line["message"] for line in lines)
    assert {span.name for span in collector.spans()} == {"push", "deliver"}
    assert {metric.name for metric in collector.metrics()} >= {"hookdesk.attempts", "hookdesk.pushes"}
    told = installed.said().encode() + collector.everything
    assert [word for word in [*forbidden(made), PAYLOAD.encode()] if word in told] == []


def break_integration(installed: Installation) -> None:
    """Its row holds what no program writes there: reading it is an error that is logged with its traceback."""
    with closing(sqlite3.connect(installed.database, timeout=20)) as database, database:
        database.execute("UPDATE integrations_integration SET headers = '[1]' WHERE slug = 'echo'")


def texts(installation: Installation, table: str) -> str:
    return repr(installation.rows(f"SELECT * FROM {table}"))


def test_tasks_and_sessions_hold_neither(installation: Installation, receiver: Receiver) -> None:
    installation.start()
    made = live(installation, receiver)

    for table in ("django_q_task", "django_q_ormq", "django_q_schedule", "django_session", "django_admin_log"):
        content = texts(installation, table)
        assert [word for word in forbidden(made) if word.decode() in content] == []
        assert PAYLOAD not in content
        assert made["X-Hub-Store"] not in content
    stop(installation)


class TestRedis:
    pytestmark = [pytest.mark.postgresql, pytest.mark.redis]

    @pytest.fixture
    def installation(self, tmp_path: Path) -> Iterator[Installation]:
        from tests.e2e.test_with_services import installation

        yield from installation.__wrapped__(tmp_path)  # type: ignore[attr-defined]

    def test_redis_holds_names_of_tasks_and_nothing_of_stores(
        self, installation: Installation, receiver: Receiver
    ) -> None:
        import redis

        from tests import services

        server = redis.Redis.from_url(services.REDIS_URL)
        seen: set[bytes] = set()
        installation.start()
        with server.monitor() as monitor:
            made = live(installation, receiver)
            server.set("hookdesk-test-end", "1")
            for command in monitor.listen():
                seen.add(str(command["command"]).encode())
                if "hookdesk-test-end" in command["command"]:
                    break
        server.delete("hookdesk-test-end")
        stop(installation)

        assert any(b"hookdesk" in command.lower() for command in seen)
        for command in seen:
            assert [word for word in [*forbidden(made), PAYLOAD.encode()] if word in command] == []
