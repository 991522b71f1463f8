"""`manage.py mcp`: a real client over stdio reads and proposes; nothing is sent until a person has approved it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client

from tests.e2e.installation import ROOT, Installation


def talk(installation: Installation, token: str, say: Callable[[Any], Awaitable[None]], *options: str) -> None:
    """Start the command, as an assistant does, and speak to it."""

    async def run() -> None:
        environment = {**installation.environment, "HOOKDESK_TOKEN": token}
        started = StdioServerParameters(
            command=sys.executable, args=["manage.py", "mcp", *options], env=environment, cwd=ROOT
        )
        async with stdio_client(started) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            await say(session)

    asyncio.run(asyncio.wait_for(run(), 60))


async def ask(session: Any, tool: str, **arguments: Any) -> Any:
    answer = await session.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return json.loads(answer.content[0].text)


@pytest.fixture
def broken(installation: Installation) -> str:
    """A store with one failed delivery; its id."""
    made = installation.manage(
        "shell",
        "-c",
        "from tests.factories import *\n"
        "store = StoreFactory(name='Garden')\n"
        "subscription = SubscriptionFactory(integration__store=store, topics=['shipment.created'])\n"
        "event = EventFactory(store=store, topic='shipment.created', object_type='shipment', object_id='7',\n"
        "    data={'id': '7', 'phone': ' 079'})\n"
        "group = FailureGroupFactory(integration=subscription.integration)\n"
        "one = DeliveryFactory(subscription=subscription, event=event, status='failed', failure_group=group)\n"
        "tokens = [AccessTokenFactory(store=store, scopes=s).text for s in (['propose'], ['manage'])]\n"
        "import json; print(json.dumps([one.public_id, *tokens]))",
    )
    return str(made).strip().splitlines()[-1]


def status_of(installation: Installation) -> Any:
    return installation.rows("SELECT status FROM deliveries_delivery")[0][0]


def test_an_assistant_reads_and_proposes_and_sends_nothing(installation: Installation, broken: str) -> None:
    delivery, token, *_ = json.loads(broken)

    async def say(session: Any) -> None:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert {"list_cases", "get_delivery", "explain_event", "propose_edit", "propose_bulk_action"} <= set(tools)
        assert all(tool.description and tool.annotations for tool in tools.values())
        assert all(name.startswith("propose_") != tool.annotations.read_only_hint for name, tool in tools.items())

        [case] = (await ask(session, "list_cases"))["items"]
        whole = await ask(session, "get_case", case=case["id"])
        assert whole["deliveries"][0]["id"] == delivery
        event = (await ask(session, "get_delivery", delivery=delivery))["delivery"]["event"]
        assert event["data"]["phone"] == " 079"
        assert (await ask(session, "explain_event", event=event["id"]))["items"][0]["reason"] == "delivered"
        assert (await ask(session, "preview_bulk_action", action="retry", filter={}))["total"] == 1

        payload = {**event["data"], "phone": "+4179"}
        made = await ask(session, "propose_edit", delivery=delivery, payload=payload, reason="a country code")
        assert made["status"] == "awaiting"
        await ask(session, "propose_resend", delivery=delivery, reason="again")
        await ask(session, "propose_bulk_action", action="retry", filter={}, reason="all of them")
        assert len((await ask(session, "list_approvals"))["items"]) == 3

        refused = await session.call_tool("get_delivery", {"delivery": "dlv_0"})
        assert refused.is_error and "404: There is no such delivery" in refused.content[0].text

    talk(installation, token, say)
    assert status_of(installation) == "failed"


def test_a_token_that_could_send_by_itself_only_proposes_here(installation: Installation, broken: str) -> None:
    delivery, _, manager = json.loads(broken)

    async def say(session: Any) -> None:
        made = await ask(session, "propose_resend", delivery=delivery, reason="again")
        assert made["status"] == "awaiting"

    talk(installation, manager, say)
    assert status_of(installation) == "failed"


def test_a_hookdesk_elsewhere_is_asked_by_its_address(installation: Installation, broken: str) -> None:
    delivery, token, *_ = json.loads(broken)
    installation.start()

    async def say(session: Any) -> None:
        assert (await ask(session, "get_delivery", delivery=delivery))["delivery"]["id"] == delivery

    talk(installation, token, say, "--url", f"http://127.0.0.1:{installation.port}")
