"""Whatever Hookdesk connects for, an address that is not allowed gets no byte: a canary on loopback counts them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Attempt, Delivery
from deliveries.previews.ping import ping_now, request_ping
from integrations.models import Integration, TurnContext
from integrations.wire_formats import WIRE_FORMATS
from notifications.channels import ChannelError
from notifications.models import Channel
from notifications.outbox import send_test
from tests.api_client import ApiClient
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
FORMATS = list(WIRE_FORMATS)
#: Spellings that lead to this machine; a row may hold any of them from before the policy was narrowed.
HOSTS = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433", "a.localhost"]
BUYER = {"id": "1", "buyer_accepts_marketing": True, "email": "a@example.com"}
CONNECTORS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "mailchimp": ({"api_key": "k-us1", "list_id": "1"}, BUYER),
    "campaign_monitor": ({"api_key": "k", "list_id": "1"}, BUYER),
    "twilio_sms": (
        {"account_sid": "AC1", "auth_token": "t"},
        {"from": "+15550100", "phone": "+15550101", "message": "m"},
    ),
}


@pytest.fixture
def canary(settings: Any) -> Iterator[Receiver]:
    """Nothing is allowed, and all vendors' base URLs lead to this machine."""
    settings.OUTBOUND_ALLOW = []
    with Receiver() as receiver:
        for name in ("TWILIO_BASE_URL", "MAILCHIMP_BASE_URL", "CAMPAIGN_MONITOR_BASE_URL"):
            setattr(settings, name, receiver.url(""))
        yield receiver
        assert (receiver.connections, receiver.bytes_received) == (0, 0)


def refused(integration: Integration) -> None:
    """There was an attempt, and it says that the address was refused."""
    kinds = set(Attempt.objects.filter(delivery__integration=integration).values_list("error_kind", flat=True))
    assert kinds == {"refused_address"}, kinds


def integration_at(canary: Receiver, host: str = "127.0.0.1", **values: Any) -> Integration:
    return IntegrationFactory(url=f"http://{host}:{canary.port}/hook", retry_policy=[60], **values)


@pytest.mark.parametrize("host", HOSTS)
def test_deliveries(canary: Receiver, deliver: Any, host: str) -> None:
    integration = integration_at(canary, host)
    DeliveryFactory(subscription=SubscriptionFactory(integration=integration))
    deliver()
    refused(integration)


@pytest.mark.parametrize("wire_format", FORMATS)
@pytest.mark.parametrize("transport", ["requests", "curl"])
def test_deliveries_pings_and_polls_of_every_format(
    canary: Receiver, settings: Any, deliver: Any, wire_format: str, transport: str
) -> None:
    settings.TRANSPORT = transport
    integration = integration_at(canary, wire_format=wire_format)
    now = timezone.now()
    subscription = SubscriptionFactory(
        integration=integration, poll_every=60, next_poll_at=now - timedelta(seconds=1), path="/more"
    )
    DeliveryFactory(subscription=subscription)
    request_ping(subscription=subscription, now=now)
    assert make_due_polls(now) == 1
    ping_now(integration=integration, now=now)
    deliver()
    assert Delivery.objects.filter(attempt_count=0).count() == 0
    refused(integration)


@pytest.mark.parametrize(
    "path", ["@127.0.0.1:{port}/", ":{port}@127.0.0.1/", "//127.0.0.1:{port}/", "\\@127.0.0.1:{port}/"]
)
def test_the_path_of_a_subscription_is_no_way_out(canary: Receiver, deliver: Any, path: str) -> None:
    integration = IntegrationFactory(url="http://shop.example", retry_policy=[60])
    DeliveryFactory(subscription=SubscriptionFactory(integration=integration, path=path.format(port=canary.port)))
    deliver()
    assert Attempt.objects.exclude(error_kind="").exists()


@pytest.mark.parametrize("connector", sorted(CONNECTORS))
def test_vendors_base_urls(canary: Receiver, deliver: Any, connector: str) -> None:
    parameters, data = CONNECTORS[connector]
    integration = IntegrationFactory(connector=connector, url="", parameters=parameters, retry_policy=[60])
    subscription = SubscriptionFactory(integration=integration)
    DeliveryFactory(subscription=subscription, event=EventFactory(store=integration.store, data=data))
    deliver()
    ping_now(integration=integration, now=timezone.now())
    refused(integration)


@pytest.mark.parametrize("key", ["k-us1.127.0.0.1", "k-127.0.0.1:{port}/", "k-us1@127.0.0.1:{port}/x", "k-us1/../#"])
def test_the_data_centre_in_a_key_names_no_host(canary: Receiver, settings: Any, deliver: Any, key: str) -> None:
    settings.MAILCHIMP_BASE_URL = ""
    parameters = {"api_key": key.format(port=canary.port), "list_id": "1"}
    integration = IntegrationFactory(connector="mailchimp", url="", parameters=parameters)
    subscription = SubscriptionFactory(integration=integration)
    DeliveryFactory(subscription=subscription, event=EventFactory(store=integration.store, data=BUYER))
    deliver()
    assert Attempt.objects.get().error_kind == "configuration"


def test_handshakes_contexts_and_actions(canary: Receiver) -> None:
    client = ApiClient()
    integration = integration_at(canary, store=client.store, slug="chat", wire_format="turn")
    offered = [
        "/x",
        canary.url("/x"),
        f"//127.0.0.1:{canary.port}/",
        f"http://localhost:{canary.port}",
        "mailto:a@b.example",
    ]
    actions = {str(number): {"url": url} for number, url in enumerate(offered)}
    TurnContext.objects.create(integration=integration, actions=actions, answered_at=timezone.now())

    assert client.post("integrations/chat/handshake").json()["ok"] is False
    assert client.post("integrations/chat/context", {"chat": {}, "messages": []}).status_code == 502
    for code in actions:
        assert client.post(f"integrations/chat/actions/{code}", {}).status_code == 502, code
    assert client.post("integrations/chat/ping").status_code == 200


@pytest.mark.parametrize("host", HOSTS)
def test_nothing_forbidden_is_saved(canary: Receiver, host: str) -> None:
    client = ApiClient()
    url = f"http://{host}:{canary.port}/"
    assert client.post("integrations", {"name": "n", "url": url}).status_code == 400
    IntegrationFactory(store=client.store, slug="known")
    assert client.patch("integrations/known", {"url": url}).status_code == 400
    body = {"topics": ["user.*"], "url": url, "service_type": "web"}
    assert client.post("subscriptions", body).status_code == 400


def test_channels(canary: Receiver) -> None:
    values = {"account_sid": "AC1", "auth_token": "t", "sender": "+15550199", "recipients": ["+15550100"]}
    channel = Channel.objects.create(name="sms", kind="sms", **values)
    with pytest.raises(ChannelError):
        send_test(channel=channel, recipient="+15550100")
    assert "127.0.0.1" in channel.__class__.objects.get().last_error


def test_an_account_in_a_channel_is_no_way_to_another_host(canary: Receiver, settings: Any) -> None:
    settings.TWILIO_BASE_URL = "https://api.shop.example"
    sid = f"@127.0.0.1:{canary.port}/../"
    channel = Channel.objects.create(
        name="sms", kind="sms", account_sid=sid, auth_token="t", sender="+1", recipients=[]
    )
    with pytest.raises(ChannelError):
        send_test(channel=channel, recipient="+15550100")
