"""A Python client generated from the OpenAPI schema of a running Hookdesk does what each scope is for."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.installation import Installation
from tests.processes import eventually

NAME = "generated_hookdesk_client"


@pytest.fixture
def running(installation: Installation) -> Installation:
    installation.start()
    return installation


@pytest.fixture
def client_at(running: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Generated as any program's author would; a function that makes a client for a token."""
    (tmp_path / "settings.yaml").write_text("post_hooks: []\n")
    (tmp_path / "schema.json").write_text(json.dumps(running.request("GET", "/api/v1/schema/")[1]))
    made = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", str(tmp_path / "schema.json"),
            "--meta", "none", "--config", str(tmp_path / "settings.yaml"), "--output-path", str(tmp_path / NAME),
            "--fail-on-warning",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    package: Any = importlib.import_module(NAME)
    yield lambda token: package.AuthenticatedClient(base_url=f"http://127.0.0.1:{running.port}", token=token)
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def call(operation: str, /, *arguments: Any, client: Any, status: int = 200, **values: Any) -> Any:
    """One operation: `deliveries.list_deliveries`; what it answers, typed."""
    answer = importlib.import_module(f"{NAME}.api.{operation}").sync_detailed(*arguments, client=client, **values)
    assert answer.status_code == status, answer.content
    return answer.parsed


def body(model: str, /, **values: Any) -> Any:
    return getattr(importlib.import_module(f"{NAME}.models"), model).from_dict(values)


def tokens_of(installation: Installation, client_at: Callable[..., Any]) -> dict[str, Any]:
    """A client for each scope, whose tokens the first token issued."""
    first = client_at(json.loads(installation.manage("createstore", "Garden", "--json"))["access_token"])
    found = {}
    for scope in ("read", "push", "resolve", "manage", "propose"):
        made = call("tokens.create_token", client=first, status=201, body=body("TokenBody", name=scope, scopes=[scope]))
        found[scope] = client_at(made.token)
    return found


def test_each_scope_does_what_it_is_for_and_nothing_else(running: Installation, client_at: Callable[..., Any]) -> None:
    by = tokens_of(running, client_at)
    assert call("tokens.get_current_token", client=by["push"]).scopes == ["push"]

    # manage: where things go. Nobody listens there, so deliveries fail at once.
    integration = body(
        "IntegrationBody", name="Printer", url="http://127.0.0.1:9/", wire_format="flat", retry_policy="none"
    )
    call("integrations.create_integration", client=by["resolve"], status=403, body=integration)
    call("integrations.create_integration", client=by["manage"], status=201, body=integration)
    subscription = body("SubscriptionBody", integration="printer", topics=["shipment.*"])
    call("subscriptions.create_subscription", client=by["manage"], body=subscription)

    # push
    things = body("PushBody", shipments=[{"id": "7", "phone": " 079"}])
    call("push.push", client=by["read"], status=403, body=things)
    call("push.push", client=by["push"], status=202, body=things)
    call("deliveries.list_deliveries", client=by["push"], status=403)

    # read
    def failed() -> Any:
        items = call("deliveries.list_deliveries", client=by["read"]).items
        return [one for one in items if one.status == "failed"]

    [delivery] = eventually(failed, 60, "the delivery did not fail") or []
    [attempt] = call("deliveries.list_attempts", delivery.id, client=by["read"]).items
    assert attempt.error is not None
    [case] = call("cases.list_cases", client=by["read"]).items
    assert call("events.explain_event", delivery.event.id, client=by["read"]).items[0].delivery == delivery.id
    retry = body("ResolveBody", action="retry", reason="the printer is back")
    call("deliveries.resolve_delivery", delivery.id, client=by["read"], status=403, body=retry)

    # propose: it waits, and stays as it is.
    approval = call("deliveries.resolve_delivery", delivery.id, client=by["propose"], status=202, body=retry)
    call("approvals.approve", approval.id, client=by["propose"], status=403)
    bulk = body("BulkBody", action="retry", filter={"status": "failed"})
    waiting = call("bulk.start_bulk_action", client=by["propose"], status=202, body=bulk)
    assert (waiting.status, len(call("approvals.list_approvals", client=by["read"]).items)) == ("awaiting", 2)
    assert call("deliveries.get_delivery", delivery.id, client=by["read"]).status == "failed"

    # resolve: plan, run, poll; and the case.
    plan = body("BulkBody", action="retry", filter={"status": "failed"}, dry_run=True)
    assert call("bulk.start_bulk_action", client=by["resolve"], status=202, body=plan).total == 1
    started = call("bulk.start_bulk_action", client=by["resolve"], status=202, body=bulk)
    done = eventually(
        lambda: (found := call("bulk.get_bulk_action", started.id, client=by["resolve"])).status == "done" and found,
        60,
        "the bulk resend did not end",
    )
    assert done.done == 1
    comment = body("CommentBody", text="The printer was off.")
    call("cases.comment_on_case", case.id, client=by["resolve"], body=comment)
    call("approvals.reject", approval.id, client=by["resolve"], body=body("RejectBody", reason="done already"))
    assert call("approvals.get_approval", approval.id, client=by["propose"]).status == "rejected"
