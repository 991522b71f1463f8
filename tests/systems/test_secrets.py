"""Rotation of secrets: receivers verify with the old one for 24 h, with the new one at once (docs/contract.md#management-api)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from tests.systems.stories import integrate, made, publish, subscribe

AFTER = timedelta(hours=24, seconds=5)


def verifies_standard(request, secret):
    try:
        Webhook(secret).verify(request.body, {name.lower(): value for name, value in request.headers})
    except WebhookVerificationError:
        return False
    return True


def verifies_hub(request, secret):
    """As Intercom's receivers do; one that still has the old secret reads the header with -Previous."""
    signature = "sha1=" + hmac.new(secret.encode(), request.body, hashlib.sha1).hexdigest()
    return signature in (request.header("X-Hub-Signature"), request.header("X-Hub-Signature-Previous"))


def verifies_turn(request, secret):
    signature = base64.b64encode(hmac.new(secret.encode(), request.body, hashlib.sha256).digest()).decode()
    return signature in (request.header("X-Turn-Hook-Signature"), request.header("X-Turn-Hook-Signature-Previous"))


@pytest.mark.parametrize(
    ("wire_format", "verifies"),
    [("standard", verifies_standard), ("notification", verifies_hub), ("turn", verifies_turn)],
)
def test_both_secrets_sign_for_a_day_and_then_the_new_one_alone(store, receiver, deliver, wire_format, verifies):
    old = integrate(store, "signed", url=receiver.url("/hook"), wire_format=wire_format)["secret"]
    subscribe(store, integration="signed", topics=["user"])
    new = made(store.post("integrations/signed/rotate_secret"))["secret"]
    assert old != new

    def sent():
        publish(store, topic="user.created", data={"id": "1"})
        deliver()
        return receiver.requests[-1]

    now = sent()
    assert verifies(now, new)
    assert verifies(now, old)
    with time_machine.travel(timezone.now() + AFTER, tick=True):
        # Engines look again after 30 s of a clock that nobody can set, or when something was changed.
        made(store.patch("integrations/signed", {"timeout": 9}))
        later = sent()
        assert verifies(later, new)
        assert not verifies(later, old)


def test_a_secret_is_shown_once(store, receiver):
    body = integrate(store, "signed", url=receiver.url("/hook"), wire_format="standard")

    assert body["secret"].startswith("whsec_")
    assert body["secret"] not in store.get("integrations/signed").content.decode()
    assert "secret" not in store.get("integrations/signed").json()
